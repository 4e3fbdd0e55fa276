"""Which market feeds the venue."""

from __future__ import annotations

from tradeshell import VenueOptions
from tradeshell_paper.market import MarketData
from tradeshell_paper.settings import Settings


def make_market(options: VenueOptions, settings: Settings) -> MarketData:
    """Return the market: bars from memory, a script, recorded files, or else a generated one.

    Raises ``DataError`` or ``ConfigError`` with one line; nothing has begun then.
    """
    if settings.bars:
        from tradeshell_paper.feed_memory import memory_market  # noqa: PLC0415  # only the chosen feed is loaded

        return memory_market(settings.bars, options.start)
    if settings.script:
        from tradeshell_paper.feed_memory import script_market  # noqa: PLC0415

        return script_market(settings.script, options.start)
    if options.replay:
        from tradeshell_paper.feed_replay import replay_market  # noqa: PLC0415

        return replay_market(options.replay, options.start)
    from tradeshell_paper.feed_generated import GeneratedMarket  # noqa: PLC0415

    return GeneratedMarket(options)
