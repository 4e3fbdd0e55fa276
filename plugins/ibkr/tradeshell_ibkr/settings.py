"""The table ``[brokers.ibkr]`` of the config, with the environment's values in it.

| key | meaning | default |
| --- | --- | --- |
| ``host``, ``port``, ``client_id`` | where TWS or IB Gateway listens, and who we are there | 127.0.0.1, 7497, 7 |
| ``account`` | the account to trade, where the login has several | the only one |
| ``remote`` | a host that is not this computer is allowed: the protocol is not encrypted | false |
| ``live_account`` | the id of the live account that may be traded, typed in full | none |
| ``paper_only`` | no live port, no live account | true |
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tradeshell import ConfigError, parse_account, parse_boolean

LIVE_PORTS = {7496: "TWS", 4001: "IB Gateway"}
PAPER_PORTS = {7497: "TWS", 4002: "IB Gateway"}
PAPER_PREFIXES = ("DU", "DF")  # accounts of a paper login: individual, and an advisor's


class LinkSettings(Struct, frozen=True, kw_only=True):
    """Where the gateway is and what may be done there."""

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 7
    account: str = ""
    remote: bool = False
    live_account: str = ""
    paper_only: bool = True

    @property
    def place(self) -> str:
        """The address as an operator types it."""
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this computer."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def is_paper(account: str) -> bool:
    """Return whether an account id is one of a paper login; the id decides, never the port."""
    return account.startswith(PAPER_PREFIXES)


def read_settings(table: Mapping[str, Any], beside: tuple[str, ...] = ()) -> LinkSettings:
    """Return the settings; raises ``ConfigError`` for a key that there is not. ``beside``: keys that others read."""
    known = (*LinkSettings.__struct_fields__, *beside)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(f"[brokers.ibkr] has no setting {key}{hint}; known: {', '.join(sorted(known))}")
    values = {key: value for key, value in table.items() if value is not None}
    for key in ("account", "live_account"):
        if values.get(key):
            values[key] = _parsed(key, str(values[key]), parse_account)
    for key in ("remote", "paper_only"):
        if isinstance(values.get(key), str):
            values[key] = _parsed(key, values[key], parse_boolean)
    return LinkSettings(**values)


def _parsed(key: str, text: str, parse: Any) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"[brokers.ibkr] {key} = {text}: {error}") from None
