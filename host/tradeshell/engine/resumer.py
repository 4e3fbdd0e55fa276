"""Looks what became of the market while watchers were left waiting, and lets the core judge whether they go on.

Laws: it only asks and tells; what follows from the answers is decided by ``core.resume``. One watcher after the other, once the
account is known; a link that goes down meanwhile begins it again. What a broker raises here is an answer that is missing: a
watcher about which something is not known is asked about, never armed.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tradeshell.core.desk import Watcher, WatchPhase
from tradeshell.core.inputs import Meanwhile, ResumeRequested
from tradeshell.core.market import Instrument, Quote, Session
from tradeshell.core.orders import parse_ref
from tradeshell.core.strategy import BarNeed
from tradeshell.engine.session import Session as EngineSession

MINUTE = 60
MOST_BARS = 1000  # asked for at once: a day of minutes, extended hours and all
QUOTE_WITHIN = 1.0  # seconds
ANSWER_WITHIN = 20.0  # seconds for all that is asked about one watcher


class Resumer:
    """Takes care of the watchers of one session that an earlier one left waiting. ``can_ask``: somebody sits at a terminal."""

    def __init__(self, session: EngineSession, *, can_ask: bool) -> None:
        self._session = session
        self._can_ask = can_ask
        self._task: asyncio.Task[None] | None = None
        self._is_over = False  # nobody waits to be looked at any more, and nobody will

    def start(self) -> None:
        """Look after every change from now on, and at once."""
        self._session.changed.append(self._on_change)
        self._on_change()

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def resume(self, id_: str) -> None:
        """Arm one all the same; whoever asks for it is sure. Whether it is armed then, the desk says."""
        watcher = self._session.desk.watchers.get(id_)
        if watcher is not None and watcher.phase is WatchPhase.PAUSED:
            await self._judge(watcher, is_sure=True)

    def _on_change(self) -> None:
        if not self._is_over and self._task is None and self._next() is not None:
            self._task = asyncio.get_running_loop().create_task(self._look())

    def _next(self) -> Watcher | None:
        desk = self._session.desk
        found = next((w for w in desk.watchers.values() if w.phase is WatchPhase.PAUSED and not w.asks), None)
        self._is_over = found is None
        return found if desk.link.is_open else None

    async def _look(self) -> None:
        try:
            while (watcher := self._next()) is not None:
                await self._judge(watcher, is_sure=False)
        except Exception as error:  # noqa: BLE001  # our own defect: those that are left stay paused, and that is told
            self._session.report_fault(error, "watchers that were left waiting")
            return  # not begun again: it would be told for ever
        self._task = None

    async def _judge(self, watcher: Watcher, *, is_sure: bool) -> None:
        epoch = self._session.desk.link.epoch
        found = await self._meanwhile(watcher)
        link = self._session.desk.link
        if (
            link.is_open and link.epoch == epoch
        ):  # else nobody knows any more what is held, and it is looked at again
            now = self._session.clock.now()
            request = ResumeRequested(
                at=now, watch=watcher.spec.id, found=found, can_ask=self._can_ask, is_sure=is_sure
            )
            self._session.submit(request)

    async def _meanwhile(self, watcher: Watcher) -> Meanwhile:
        """Ask for all that the core wants to know; what is not answered is missing."""
        session, plan = self._session, watcher.spec.plan
        broker, clock = session.broker, session.clock
        used = next((ref for ref in sorted(session.names) if _is_of(ref, watcher.spec.id)), "")
        instrument: Instrument | None = None
        hours: Session | None = None
        quote: Quote | None = None
        try:
            async with asyncio.timeout(ANSWER_WITHIN * session.haste):
                instrument = await broker.qualify(plan.symbol)
                hours = broker.session(plan.symbol, clock.now())
                quote = await broker.snapshot(plan.symbol, QUOTE_WITHIN) or broker.latest(plan.symbol)
                need = _need(watcher)
                closes = []
                if watcher.started_at < clock.now():
                    count = _count(watcher.started_at, clock.now(), need.seconds)
                    bars = await broker.history(plan.symbol, need.seconds, count, need.rth)
                    are_its_own = need == watcher.need and need.fast is None
                    closes = [
                        bar.close if are_its_own else bar.high for bar in bars if bar.end > watcher.started_at
                    ]
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            missing = "the broker's adapter gave the request up"
        except TimeoutError:
            missing = f"the broker did not answer within {ANSWER_WITHIN:g} s"
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises, it is no answer
            missing = " ".join(str(error).split()) or type(error).__name__
        else:
            return Meanwhile(
                instrument=instrument,
                session=hours,
                bars=len(closes),
                highest=max(closes, default=None),
                quote=quote,
                used_by=used,
            )
        return Meanwhile(instrument=instrument, session=hours, quote=quote, used_by=used, missing=missing)


def _is_of(ref: str, id_: str) -> bool:
    parts = parse_ref(ref)
    return parts is not None and parts.watch == id_


def _need(watcher: Watcher) -> BarNeed:
    """Return the bars to look back on: its own, but none shorter than a minute, whose high stands for shorter closes then."""
    need = watcher.need
    if not need.seconds:  # from a snapshot: its strategy has not said yet
        return BarNeed(MINUTE, not watcher.spec.plan.outside_rth)
    return need if need.seconds >= MINUTE else BarNeed(MINUTE, need.rth)


def _count(since: datetime, now: datetime, seconds: int) -> int:
    return max(1, min(MOST_BARS, (now - since) // timedelta(seconds=seconds) + 1))
