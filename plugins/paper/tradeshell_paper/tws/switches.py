"""The switches of the gateway: how it behaves, and how it misbehaves.

Laws: without a switch nothing is late, lost or doubled. Each can be set in a scenario file and while the gateway runs; a value
that cannot be one is refused and names the switch. The module's classes are the list; ``docs/gateway.md`` explains it.
"""

from __future__ import annotations

import difflib
from typing import Any, Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tradeshell import ConfigError

Seconds = float


class Refuse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refuses what matches, ``times`` times (``None``: for ever).

    ``advisory``: it is only said. ``accepted``: the order was taken before, and is shown as Inactive; ``revive`` seconds later it
    works again.
    """

    action: Literal["place", "modify", "cancel"] = "place"
    symbol: str = ""
    side: str = ""
    type: str = ""
    ref: str = ""
    code: int = 201
    text: str = "Order rejected - reason:refused by this gateway"
    advisory: bool = False
    accepted: bool = False
    revive: Seconds | None = None
    times: int | None = None


class Switches(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All switches that can change while the gateway runs. Times are seconds of the market's clock."""

    # --- the connection
    greeting: Literal["normal", "silent", "mute"] = "normal"
    half_open: bool = False
    next_id_delay: Seconds = 0.0
    split_writes: int = 0
    join_writes: Seconds = 0.0
    ignore: list[int] = field(default_factory=list)
    withhold: list[int] = field(default_factory=list)
    max_clients: int = 32
    max_backlog: int = 16_000_000
    pacing: Literal["refuse", "delay", "off"] = "refuse"
    messages_per_second: int = 50
    # --- orders
    latency: Seconds = 0.0
    ack_delay: Seconds = 0.0
    status_delay: Seconds = 0.0
    execution_delay: Seconds = 0.0
    commission_delay: Seconds = 0.0
    position_delay: Seconds = 0.0
    flash_presubmitted: bool = False
    repeat_status: bool = False
    skip_status: list[str] = field(default_factory=list)
    filled_first: bool = False
    execution_first: bool = False
    commission: Literal["after", "before", "never"] = "after"
    pending_cancel: bool = False
    cancel_race: int = 0
    filled_cancel: Literal[10148, 161] = 10148
    unsolicited_completed: bool = False
    tif_preset: bool = False
    foreign_cancel: bool = False
    ids_must_rise: bool = True
    refused_ids_again: bool = True
    lose_place: Literal["no", "accepted", "lost"] = "no"
    busy_changes: int = 0
    locate: Seconds = 0.0
    hours_note: bool = True
    stop_outside_rth: Literal["taken", "ignored", "refused"] = "taken"
    open_orders_age: Seconds = 0.0
    refuse: list[Refuse] = field(default_factory=list)
    master_client: int | None = None
    # --- market data
    market_data: Literal["live", "delayed", "refused", "unsubscribed"] = "live"
    lines: int = 100
    tick_streams: int = 5
    snapshot_seconds: Seconds = 11.0
    update_seconds: Seconds = 5.0
    history_pacing: bool = True
    open_histories: int = 50
    history_down: bool = False
    bars_silent: bool = False
    bars_corrected: bool = False
    bars_missing: int = 0
    bars_out_of_order: int = 0
    bars_empty: bool = False
    competing: bool = False
    unknown_symbols: list[str] = field(default_factory=list)


def changed(switches: Switches, name: str, value: Any) -> Switches:
    """Return the switches with one set; raises ``ConfigError`` that names it."""
    if name not in Switches.__struct_fields__:
        near = difflib.get_close_matches(name, Switches.__struct_fields__, 1)
        hint = f" · did you mean {near[0]}?" if near else ""
        raise ConfigError(f"there is no switch {name!r}{hint}")
    try:
        made = msgspec.convert({name: value}, Switches, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"switch {name} = {value!r}: {error}") from None
    return replace(switches, **{name: getattr(made, name)})
