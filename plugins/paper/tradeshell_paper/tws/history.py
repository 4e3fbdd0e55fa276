"""Bars of one client: historical requests, their updates, and real-time bars.

Laws: an answer is made in steps, so that a year of bars holds nobody up; the last bar of an answer up to now is unfinished.
Updates repeat the unfinished bar, a closed one is told once more when it ends, and the next one begins with its first trade.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from tradeshell import Bar, BrokerError, Handle
from tradeshell_paper.series import EPOCH
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.fields import stamp
from tradeshell_paper.tws.house import Client, House
from tradeshell_paper.tws.pacing import HistoryPacing
from tradeshell_paper.tws.requests import HistoryRequest, StreamRequest
from tradeshell_paper.tws.spans import Span, read_span, row, within
from tradeshell_paper.tws.view import sessions_back

FAILED = "Historical Market Data Service error message:"
NO_SECURITY = "No security definition has been found for the request"
REAL_TIME = 5  # seconds
BAR_LAG = timedelta(
    milliseconds=50
)  # a bar is told a moment after its end: what was quoted at that instant comes first


class Job:
    """One historical request that is being answered."""

    def __init__(
        self, desk: HistoryDesk, request: HistoryRequest, symbol: str, span: Span, until: datetime
    ) -> None:
        self._desk = desk
        self._request = request
        self._symbol = symbol
        self._span = span
        self._until = until
        self._is_newest = until >= desk.house.now() or not request.end
        self._found: list[Bar] = []
        self._chunks: Iterator[list[Bar]] = iter(())
        self.is_over = False

    def start(self) -> None:
        """Begin with the bar that lasts."""
        house, span = self._desk.house, self._span
        now = house.now()
        if self._is_newest and span.count > 0:
            forming = house.view.forming(self._symbol, span.seconds, self._request.rth, now)
            if forming is not None and forming.seconds == span.seconds:
                self._found.append(forming)
        self._chunks = house.view.past(
            self._symbol, span.seconds, self._request.rth, min(now, self._until), span.count
        )
        house.clock.call_soon(self._step)

    def _step(self) -> None:
        if self.is_over:
            return
        try:
            chunk = next(self._chunks, None)
        except BrokerError as error:
            self._desk.refuse(self._request.request, 162, f"{FAILED}{error}")
            return
        kept, is_enough = within(self._span, [*self._found, *(chunk or ())])
        self._found = kept
        if chunk is None or is_enough:
            self._finish()
        else:
            self._desk.house.clock.call_soon(self._step)

    def _finish(self) -> None:
        self.is_over = True
        house, request = self._desk.house, self._request
        bars = self._found[::-1]
        if not bars and not request.keep:
            symbol = request.contract.symbol or self._symbol
            text = f"{FAILED}HMDS query returned no data: {symbol}@SMART {request.what.capitalize()}"
            self._desk.refuse(request.request, 162, text)
            return
        if house.switches.bars_empty:
            bars = []
        rows = [row(bar, request.what, request.date_format, house.offset) for bar in bars]
        first = self._span.first or (bars[0].start if bars else self._until)
        self._desk.client.send(
            outgoing.historical_data(request.request, house.shown(first), house.shown(self._until), rows)
        )
        self._desk.finished(request, self._symbol, self._span.seconds)


class Kept:
    """One subscription to the updates of historical bars."""

    def __init__(self, desk: HistoryDesk, request: HistoryRequest, symbol: str, seconds: int) -> None:
        self._desk = desk
        self._request = request
        self._symbol = symbol
        self._seconds = seconds
        self._closed: Bar | None = None  # the newest one
        self._begun: datetime | None = None  # the begin of the newest bar, told or left out
        self._left_out: datetime | None = None
        self.is_dead = False
        self._handle = desk.house.data_venue.subscribe(symbol, seconds, request.rth, self._on_closed)

    def end(self) -> None:
        """Tell nothing more."""
        self._handle.cancel()
        self.is_dead = True

    def beat(self) -> None:
        """Tell the bar that lasts as it is now. A new one begins after the old one was told as it closed."""
        house = self._desk.house
        bar = house.view.forming(self._symbol, self._seconds, self._request.rth, house.now())
        if bar is None:
            return
        if self._begun is None or bar.start > self._begun:
            is_closed = self._closed is not None and self._closed.start == self._begun
            if self._begun is not None and not is_closed:
                return
            if self._begun is not None and house.take("bars_missing"):
                self._left_out = bar.start
            self._begun = bar.start
        self._tell(bar)

    def _on_closed(self, bar: Bar) -> None:
        house = self._desk.house
        self._tell(bar)
        before, self._closed = self._closed, bar
        self._begun = bar.start if self._begun is None else max(self._begun, bar.start)
        # What trades at this very instant belongs to the next bar, which begins with it.
        house.clock.call_soon(self.beat)
        if house.switches.bars_corrected:
            corrected = Bar(
                bar.symbol, bar.start, bar.seconds, bar.open, bar.high, bar.low, bar.close, bar.volume + 100
            )
            house.after(1.0, lambda: self._tell(corrected))
        if before is not None and house.take("bars_out_of_order"):
            house.after(0.5, lambda: self._tell(before))

    def _tell(self, bar: Bar) -> None:
        house = self._desk.house
        if self.is_dead or house.switches.bars_silent or house.is_cut_off or bar.start == self._left_out:
            return
        self._desk.client.send(
            outgoing.historical_update(
                self._request.request, row(bar, self._request.what, self._request.date_format, house.offset)
            )
        )


class HistoryDesk:
    """The historical requests and real-time bars of one client."""

    def __init__(self, house: House, client: Client) -> None:
        self.house = house
        self.client = client
        self.real_time: dict[int, tuple[StreamRequest, str]] = {}
        self._jobs: dict[int, Job] = {}
        self._kept: dict[int, Kept] = {}
        self._pacing = HistoryPacing()
        self._beat: Handle | None = None
        self._bar_beat: Handle | None = None

    # --- historical bars ----------------------------------------------------------------------------------------------

    def begin(self, request: HistoryRequest) -> None:
        """Take reqHistoricalData."""
        house, number_ = self.house, request.request
        found = house.resolve(request.contract)
        if number_ in self._jobs or number_ in self._kept:
            self.client.error(number_, 386, "Duplicate ticker ID for API historical data query.")
            return
        if found is None:
            self.client.error(number_, 200, NO_SECURITY)
            return
        now = house.now()
        until = house.parse_time(request.end, "endDateTime") or now
        span = read_span(request, min(until, now))
        if isinstance(span, tuple):
            self.client.error(number_, *span)
        elif len(self._jobs) + len(self._kept) >= house.switches.open_histories:
            text = "Error processing request.-'bS' : cause - Only 50 simultaneous API historical data requests allowed."
            self.client.error(number_, 322, text)
        elif house.switches.history_down or house.is_cut_off:
            self.client.error(number_, 162, f"{FAILED}HMDS connection is broken")
        elif house.switches.history_pacing and not self._pacing.allows(request, span.seconds, now):
            self.client.error(number_, 162, f"{FAILED}Historical data request pacing violation")
        elif request.what == "SCHEDULE":
            self._schedule(request, span, until)
        else:
            job = self._jobs[number_] = Job(self, request, found[0].symbol, span, min(until, now))
            job.start()

    def refuse(self, number_: int, code: int, text: str) -> None:
        """End a request with an error."""
        self._jobs.pop(number_, None)
        self.client.error(number_, code, text)

    def finished(self, request: HistoryRequest, symbol: str, seconds: int) -> None:
        """Go on with updates where they were asked for."""
        self._jobs.pop(request.request, None)
        if request.keep:
            self._kept[request.request] = Kept(self, request, symbol, seconds)
            self._keep_beating()

    def cancel(self, number_: int) -> None:
        """Take cancelHistoricalData."""
        job, kept = self._jobs.pop(number_, None), self._kept.pop(number_, None)
        if job is not None:
            job.is_over = True
            self.client.error(number_, 162, f"{FAILED}API historical data query cancelled: {number_}")
        elif kept is not None:
            kept.end()
        else:
            self.client.error(number_, 366, f"No historical data query found for ticker id:{number_}")

    def die(self, code: int, text: str) -> None:
        """Let the updates end for good; ``code`` 0: without a word."""
        for number_, kept in self._kept.items():
            kept.end()
            if code:
                self.client.error(number_, code, text)

    def _keep_beating(self) -> None:
        if self._beat is None and self._kept:
            self._beat = self.house.clock.call_at(
                self._next(self.house.switches.update_seconds), self._on_beat
            )

    def _on_beat(self) -> None:
        self._beat = None
        for kept in tuple(self._kept.values()):
            kept.beat()
        self._keep_beating()

    def _next(self, seconds: float) -> datetime:
        """Return the next multiple of ``seconds``, counted from midnight UTC."""
        now = self.house.now()
        step = timedelta(seconds=seconds)
        return now + step - (now - EPOCH) % step

    def _schedule(self, request: HistoryRequest, span: Span, until: datetime) -> None:
        offset = self.house.offset
        sessions = sessions_back(until, span.days or span.count)
        rows = []
        for session in sessions:
            first, last = (
                (session.open, session.close)
                if request.rth
                else (session.extended_open, session.extended_close)
            )
            rows.append((_dash(first + offset), _dash(last + offset), stamp(session.open + offset)[:8]))
        start, end = (rows[0][0], rows[-1][1]) if rows else ("", "")
        self.client.send(outgoing.historical_schedule(request.request, start, end, rows))

    # --- real-time bars -----------------------------------------------------------------------------------------------

    def begin_real_time(self, request: StreamRequest, lines: int) -> None:
        """Take reqRealTimeBars; ``lines`` is how many market-data lines are taken."""
        house, number_ = self.house, request.request
        found = house.resolve(request.contract)
        if number_ in self.real_time:
            self.client.error(number_, 102, "Duplicate ticker ID.")
        elif found is None:
            self.client.error(number_, 200, NO_SECURITY)
        elif lines >= house.switches.lines:
            self.client.error(number_, 101, "Max number of tickers has been reached")
        elif house.switches.history_pacing and not self._pacing.allows_real_time(house.now()):
            self.client.error(
                number_, 420, "Invalid Real-time Query:Historical data request pacing violation"
            )
        else:
            try:
                tuple(house.view.past(found[0].symbol, REAL_TIME, False, house.now(), 1))
            except BrokerError as error:
                self.client.error(number_, 420, f"Invalid Real-time Query:{error}")
                return
            self.real_time[number_] = (request, found[0].symbol)
            self._keep_bar_beating()

    def cancel_real_time(self, number_: int) -> None:
        """Take cancelRealTimeBars."""
        if self.real_time.pop(number_, None) is None:
            self.client.error(number_, 300, f"Can't find EId with tickerId:{number_}")

    def _keep_bar_beating(self) -> None:
        if self._bar_beat is None and self.real_time:
            self._bar_beat = self.house.clock.call_at(self._next(REAL_TIME) + BAR_LAG, self._on_bar_beat)

    def _on_bar_beat(self) -> None:
        self._bar_beat = None
        now = self.house.now()
        # A clock of floats may stand a moment behind the instant that was asked for.
        end = (
            now
            - (now - EPOCH + timedelta(milliseconds=500)) % timedelta(seconds=REAL_TIME)
            + timedelta(milliseconds=500)
        )
        for number_, (request, symbol) in tuple(self.real_time.items()):
            self._tell_real_time(number_, request, symbol, end)
        self._keep_bar_beating()

    def _tell_real_time(self, number_: int, request: StreamRequest, symbol: str, end: datetime) -> None:
        house = self.house
        if house.switches.bars_silent or house.is_cut_off:
            return
        chunks = house.view.past(symbol, REAL_TIME, request.rth, end, 1)
        newest = next((bar for bars in chunks for bar in bars), None)
        if newest is None:
            return
        start = end - timedelta(seconds=REAL_TIME)
        if newest.start != start:
            price = newest.close
            newest = Bar(symbol, start, REAL_TIME, price, price, price, price, 0)
        wap = ((newest.high + newest.low + newest.close) / 3).quantize(Decimal("0.0001"))
        self.client.send(
            outgoing.real_time_bar(number_, newest, house.shown(start), wap, newest.volume // 100)
        )

    def end(self) -> None:
        """End everything."""
        for job in self._jobs.values():
            job.is_over = True
        for kept in self._kept.values():
            kept.end()
        for beat in (self._beat, self._bar_beat):
            if beat is not None:
                beat.cancel()
        self._jobs.clear()
        self._kept.clear()
        self.real_time.clear()
        self._beat = self._bar_beat = None


def _dash(at: datetime) -> str:
    return stamp(at)[:17].replace(" ", "-")
