"""Who may be talked to, and which account may be traded: the checks between a config and the first order.

Laws: the account's id decides whether it is paper, never the port; the port is refused before it is dialled all the same. What
is refused here only a person can heal, so it is not tried again.
"""

from __future__ import annotations

from tradeshell import BrokerError, masked
from tradeshell_ibkr.settings import LIVE_PORTS, LinkSettings, is_paper
from tradeshell_ibkr.states import LinkState


class LinkFailure(BrokerError):
    """An attempt to connect failed."""

    def __init__(self, state: LinkState, detail: str = "") -> None:
        super().__init__(detail)
        self.state, self.detail = state, detail


class LiveUnconfirmed(LinkFailure):
    """A live account whose id nobody has typed."""

    def __init__(self, account: str) -> None:
        super().__init__(
            LinkState.GUARDED,
            f"account {masked(account)} is live: to trade it, start with --live-account and its full id",
        )
        self.account = account


def check_place(settings: LinkSettings) -> None:
    """Raise ``LinkFailure`` for an address that may not be dialled."""
    if settings.paper_only and settings.port in LIVE_PORTS:
        raise _refused(
            f"{settings.place} is the live port of {LIVE_PORTS[settings.port]} and PAPER_ONLY is true: nothing was dialled; "
            "paper ports are 7497 (TWS) and 4002 (Gateway)"
        )
    if not settings.is_local and not settings.remote:
        raise _refused(
            f"{settings.host} is another computer and the TWS API is not encrypted: nothing was dialled; "
            "IB_REMOTE=true (remote in [brokers.ibkr]) allows it"
        )


def check_account(settings: LinkSettings, accounts: tuple[str, ...], before: str) -> str:
    """Return the account to trade; raises ``LinkFailure``. ``before``: the one this session has traded, if any."""
    names = ", ".join(masked(name) for name in accounts)
    wanted = settings.account
    if wanted and wanted not in accounts:
        raise _refused(f"account {masked(wanted)} is not one of this login ({names}): nothing was sent")
    if not wanted and len(accounts) > 1:
        raise _refused(
            f"this login has several accounts ({names}): say which with IB_ACCOUNT (account in [brokers.ibkr])"
        )
    account = wanted or accounts[0]
    if before and account != before:
        raise _refused(
            f"the gateway is logged in to account {masked(account)} now, and this session trades {masked(before)}: "
            "log in as before, or start again"
        )
    if is_paper(account):
        return account
    if settings.paper_only:
        raise _refused(
            f"account {masked(account)} is live and PAPER_ONLY is true: disconnected before anything was asked"
        )
    if settings.live_account != account:
        raise LiveUnconfirmed(account)
    return account


def _refused(detail: str) -> LinkFailure:
    return LinkFailure(LinkState.GUARDED, detail)
