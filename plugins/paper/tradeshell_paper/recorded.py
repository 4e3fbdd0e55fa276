"""One recorded file, read and checked completely: trades or quotes of one symbol, bars or ticks.

Laws: whatever is wrong with a file is a ``DataError`` of one line that names file and row (1-based, the header is row 1) and what
to do; a file is read once, row by row; a price text is turned into a ``Decimal`` once.

Names: ``SYMBOL_…_trades.csv``, ``SYMBOL_…_quotes.csv``, plain or gzip (``.gz``), or ``.parquet`` where pyarrow is installed. The
header says bars or ticks; bars are as long as the folder says (``1s``, ``5s``, ``1m`` …), or as their smallest distance. A length
that the most common distance contradicts is refused: a bar that is taken for a shorter one would be known before it ends.

| kind | columns (others are ignored) |
| --- | --- |
| trades, bars | ``ts open high low close volume`` |
| trades, ticks | ``ts price size``, perhaps ``condition``, ``suspicious`` |
| quotes, bars | ``ts bid_open bid_high bid_low bid_close bid_size ask_open ask_high ask_low ask_close ask_size`` |
| quotes, ticks | ``ts bid ask bid_size ask_size``, perhaps ``suspicious`` |

``ts`` is ISO 8601 with a zone, the start of a bar; an empty bid or ask is a side without a price. Of ticks, rows marked
``suspicious`` are left out, and prints whose ``condition`` (AlgoSeek's hexadecimal flags) says that they were not made at the
market of their time: those do not make a last price, so they elect no stop and touch no limit.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import gcd
from operator import itemgetter
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradeshell import DataError, Price, Shares, parse_symbol
from tradeshell_paper.calendar import FIRST_YEAR, LAST_YEAR
from tradeshell_paper.series import EPOCH, MILLISECOND, BarColumns, Prints, Span, Touches, from_ms

GZIP_MAGIC = b"\x1f\x8b"
SIZES = (1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600)  # seconds, as IBKR offers them
TELLING = 3  # times that a distance must be there to say how long the bars of a file are
MAX_PRICE = Decimal(10_000_000)  # USD; beyond it a column was taken for another

_NAME = re.compile(
    r"(?P<symbol>[^_]+)_(?:.+_)?(?P<kind>trades|quotes)\.(?:csv|csv\.gz|parquet)", re.IGNORECASE
)
_FOLDER = re.compile(r"(\d{1,4})(s|m|h)")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_SIDE = ("open", "high", "low", "close")

# AlgoSeek flags of prints that were not made at the market of their time: other settlement (cash, next day, seller's option),
# derivatively priced, sold late, out of sequence, tied to an option, average price, official close and open (repetitions),
# prior reference price.
_NOT_AT_MARKET = (
    0x2 | 0x4 | 0x8 | 0x200 | 0x800 | 0x4000 | 0x40000 | 0x100000 | 0x1000000 | 0x2000000 | 0x4000000
)

_COLUMNS: dict[tuple[str, bool], tuple[str, ...]] = {
    ("trades", False): ("ts", *_SIDE, "volume"),
    ("trades", True): ("ts", "price", "size"),
    ("quotes", False): (
        "ts",
        *(f"bid_{s}" for s in _SIDE),
        "bid_size",
        *(f"ask_{s}" for s in _SIDE),
        "ask_size",
    ),
    ("quotes", True): ("ts", "bid", "ask", "bid_size", "ask_size"),
}


class Recording(Struct, frozen=True, kw_only=True):
    """A file that was read. ``seconds`` is 0 for ticks; of ``bars``, ``prints`` and ``touches`` one is there."""

    path: Path
    symbol: str
    seconds: int
    span: Span
    bars: BarColumns | None = None
    prints: Prints | None = None
    touches: Touches | None = None


def read_recording(path: Path) -> Recording:
    """Read and check a file; raises ``DataError``."""
    name = _NAME.fullmatch(path.name)
    if name is None and path.is_dir():
        raise DataError(f"{path}: is a folder; name the files in it")
    if name is None:
        raise DataError(
            f"{path}: the name does not say what is in it · name it like AAPL_2014-06-05_trades.csv.gz or …_quotes.csv"
        )
    try:
        symbol = parse_symbol(name["symbol"])
    except ValueError as error:
        raise DataError(f"{path}: {name['symbol']}: {error}") from None
    reader = _Reader(path, symbol, name["kind"].lower())
    with _rows_of(path, reader) as rows:
        return reader.read(rows)


# --- opening ----------------------------------------------------------------------------------------------------------


@contextmanager
def _rows_of(path: Path, reader: _Reader) -> Iterator[Iterator[list[str]]]:
    """Open a file as rows of texts and turn whatever reading it raises into one line."""
    try:
        if path.suffix.lower() == ".parquet":
            yield _parquet_rows(path)
            return
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if path.suffix.lower() == ".gz" and not packed:
                raise reader.wrong("is no gzip file; unpacked it would be named .csv", 1)
            stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                yield csv.reader(text)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; name the files in it") from None
    except EOFError:
        raise reader.wrong("the file is cut off here (its gzip stream has no end); copy it again") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise reader.wrong(f"the gzip stream is damaged ({error}); copy it again") from None
    except UnicodeDecodeError:
        raise reader.wrong("is no UTF-8 text; save the file as CSV") from None
    except csv.Error as error:
        raise reader.wrong(f"is no CSV row ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _parquet_rows(path: Path) -> Iterator[list[str]]:
    path.open("rb").close()  # the plain errors of a file that is not there
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise DataError(
            f"{path}: Parquet files need pyarrow · type: pip install pyarrow, or save it as CSV"
        ) from None
    try:
        file = parquet.ParquetFile(path)
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield ["" if value is None else _text(value) for value in row]
    except (ValueError, OSError) as error:  # pyarrow's own errors derive from these
        raise DataError(f"{path}: is no readable Parquet file ({str(error).splitlines()[0]})") from None


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


# --- reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads the rows of one file into columns."""

    def __init__(self, path: Path, symbol: str, kind: str) -> None:
        self._path = path
        self._symbol = symbol
        self._kind = kind
        self._row = 0
        self._prices: dict[str, Price] = {}
        self._ms = -(2**62)

    def wrong(self, what: str, row: int | None = None) -> DataError:
        """Return the error that names file and row; without ``row`` the one being read."""
        return DataError(f"{self._path} row {self._row + 1 if row is None else row}: {what}")

    def read(self, rows: Iterator[list[str]]) -> Recording:
        """Return the recording."""
        header = [name.strip().lower() for name in next(rows, [])]
        self._row = 1
        is_ticks = "price" in header if self._kind == "trades" else "bid" in header
        wanted = _COLUMNS[self._kind, is_ticks]
        lacking = [name for name in wanted if name not in header]
        if lacking:
            said = ",".join(header)[:60] or "nothing"
            raise self.wrong(
                f"the header of {self._kind} lacks {' '.join(lacking)}; it says {said} · expected {','.join(wanted)}",
                1,
            )
        fields = self._fields(rows, header)
        if self._kind == "trades":
            return self._read_prints(fields, header) if is_ticks else self._read_bars(fields, header)
        return self._read_touches(fields, header, is_ticks)

    def _fields(self, rows: Iterator[list[str]], header: list[str]) -> Iterator[list[str]]:
        width = len(header)
        blank = count = 0
        for row in rows:
            self._row += 1
            if len(row) != width or blank:
                if not row:
                    blank = blank or self._row
                    continue
                if blank:
                    raise self.wrong("is empty", blank)
                raise self.wrong(
                    f"has {len(row)} fields, the header has {width}; the file may be cut off", self._row
                )
            count += 1
            yield row
        if count == 0:
            raise self.wrong("there are no rows after the header", 2)

    def _read_bars(self, fields: Iterator[list[str]], header: list[str]) -> Recording:
        pick = itemgetter(*(header.index(name) for name in _COLUMNS["trades", False]))
        bars = BarColumns(self._symbol, 0)
        known = self._prices
        for row in fields:
            ts, *texts, volume = pick(row)
            self._take_time(ts, is_bar=True)
            try:
                first, high, low, last = known[texts[0]], known[texts[1]], known[texts[2]], known[texts[3]]
            except KeyError:
                first, high, low, last = self._four(texts, "")
            if not (low <= first <= high and low <= last <= high):
                raise self._impossible("", texts)
            bars.ms.append(self._ms)
            bars.opens.append(first)
            bars.highs.append(high)
            bars.lows.append(low)
            bars.closes.append(last)
            bars.volumes.append(self._shares(volume, "volume"))
        bars.seconds = self._bar_length(bars.ms)
        last_end = from_ms(bars.ms[-1]) + timedelta(seconds=bars.seconds)
        return self._recording(bars.seconds, Span(from_ms(bars.ms[0]), last_end), bars=bars)

    def _read_prints(self, fields: Iterator[list[str]], header: list[str]) -> Recording:
        ts, price, size = (header.index(name) for name in _COLUMNS["trades", True])
        condition = header.index("condition") if "condition" in header else None
        is_left_out = self._suspicion(header)
        prints = Prints(self._symbol)
        for row in fields:
            self._take_time(row[ts])
            value = self._price(row[price], "price")
            shares = self._shares(row[size], "size")
            if is_left_out(row) or (condition is not None and self._flags(row[condition]) & _NOT_AT_MARKET):
                continue
            prints.ms.append(self._ms)
            prints.prices.append(value)
            prints.sizes.append(shares)
        if not prints.ms:
            raise self.wrong("no print of this file was made at the market", 2)
        return self._recording(0, Span(from_ms(prints.ms[0]), from_ms(prints.ms[-1] + 1)), prints=prints)

    def _read_touches(self, fields: Iterator[list[str]], header: list[str], is_ticks: bool) -> Recording:
        at = [header.index(name) for name in _COLUMNS["quotes", is_ticks]]
        if is_ticks:
            touches = self._tick_touches(fields, at, self._suspicion(header))
            return self._recording(
                0, Span(from_ms(touches.ms[0]), from_ms(touches.ms[-1] + 1)), touches=touches
            )
        rows: list[tuple[int, tuple[Price | None, ...], tuple[Price | None, ...], Shares, Shares]] = []
        for row in fields:
            texts = [row[index] for index in at]
            self._take_time(texts[0], is_bar=True)
            bid, ask = self._side(texts[1:5], "bid_"), self._side(texts[6:10], "ask_")
            rows.append(
                (self._ms, bid, ask, self._shares(texts[5], "bid_size"), self._shares(texts[10], "ask_size"))
            )
        seconds = self._bar_length([row[0] for row in rows])
        touches = Touches(self._symbol)
        for ms, bid, ask, bid_size, ask_size in rows:
            # The open is in force from the start of the bar, the close from its end on; what lies between has no time.
            touches.append(ms, bid[0], ask[0], bid_size, ask_size)
            touches.append(ms + seconds * 1000, bid[3], ask[3], bid_size, ask_size)
        end = from_ms(touches.ms[-1])
        return self._recording(seconds, Span(from_ms(rows[0][0]), end), touches=touches)

    def _tick_touches(
        self, fields: Iterator[list[str]], at: list[int], is_left_out: Callable[[list[str]], bool]
    ) -> Touches:
        touches = Touches(self._symbol)
        for row in fields:
            ts, bid_text, ask_text, bid_size, ask_size = (row[index] for index in at)
            self._take_time(ts)
            bid = None if bid_text == "" else self._price(bid_text, "bid")
            ask = None if ask_text == "" else self._price(ask_text, "ask")
            sizes = self._shares(bid_size, "bid_size"), self._shares(ask_size, "ask_size")
            if not is_left_out(row):
                touches.append(self._ms, bid, ask, *sizes)
        if not touches.ms:
            raise self.wrong("every quote of this file is marked suspicious", 2)
        return touches

    def _recording(self, seconds: int, span: Span, **columns: Any) -> Recording:
        return Recording(path=self._path, symbol=self._symbol, seconds=seconds, span=span, **columns)

    # --- values -------------------------------------------------------------------------------------------------------

    def _take_time(self, text: str, *, is_bar: bool = False) -> None:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise self.wrong(
                f"ts {text[:40]!r} is no ISO time · example: 2014-06-05T13:30:00Z", self._row
            ) from None
        if at.tzinfo is None:
            raise self.wrong(f"ts {text[:40]} has no time zone · write UTC with a Z", self._row)
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise self.wrong(f"ts {text[:40]} lies outside the years {FIRST_YEAR} to {LAST_YEAR}", self._row)
        ms = (at - EPOCH) // MILLISECOND
        before, self._ms = self._ms, ms
        if ms < before or (is_bar and ms == before):
            said = "repeats" if ms == before else "lies before"
            raise self.wrong(f"ts {text} {said} the row above it; rows must be in time order", self._row)
        if is_bar and ms % 1000:
            raise self.wrong(f"ts {text}: a bar starts on a whole second", self._row)

    def _price(self, text: str, name: str) -> Price:
        price = self._prices.get(text)
        if price is None:
            if _NUMBER.fullmatch(text) is None:
                raise self.wrong(f"{name} {text[:40]!r} is no price", self._row)
            price = Decimal(text)
            if not 0 < price <= MAX_PRICE:
                raise self.wrong(
                    f"{name} {text}: a price lies above zero, and not above {MAX_PRICE}", self._row
                )
            self._prices[text] = price
        return price

    def _four(self, texts: list[str], prefix: str) -> tuple[Price, Price, Price, Price]:
        first, high, low, last = (
            self._price(text, prefix + name) for text, name in zip(texts, _SIDE, strict=True)
        )
        return first, high, low, last

    def _side(self, texts: list[str], prefix: str) -> tuple[Price | None, ...]:
        if not any(texts):
            return (None, None, None, None)
        first, high, low, last = self._four(texts, prefix)
        if not (low <= first <= high and low <= last <= high):
            raise self._impossible(prefix, texts)
        return first, high, low, last

    def _impossible(self, prefix: str, texts: list[str]) -> DataError:
        _, high, low, _ = texts
        if self._prices[high] < self._prices[low]:
            return self.wrong(f"{prefix}high {high} is below {prefix}low {low}", self._row)
        said = " ".join(f"{prefix}{name} {text}" for name, text in zip(_SIDE, texts, strict=True))
        return self.wrong(f"{said}: open and close lie between low and high", self._row)

    def _shares(self, text: str, name: str) -> Shares:
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
        # Other tools write whole numbers as 100.0.
        if (
            _NUMBER.fullmatch(text) is not None
            and (value := Decimal(text)) == value.to_integral_value() < 10**15
        ):
            return int(value)
        raise self.wrong(f"{name} {text[:40]!r} is no number of shares", self._row)

    def _flags(self, text: str) -> int:
        try:
            return int(text, 16) if text else 0
        except ValueError:
            raise self.wrong(f"condition {text[:40]!r} is no hexadecimal number", self._row) from None

    def _suspicion(self, header: list[str]) -> Callable[[list[str]], bool]:
        if "suspicious" not in header:
            return lambda _row: False
        index = header.index("suspicious")
        return lambda row: row[index] not in ("", "0")

    def _bar_length(self, starts: Any) -> int:
        """Return the bars' length in seconds: the folder's word, or the longest that fits all starts and their distances."""
        folder = _FOLDER.fullmatch(self._path.parent.name)
        if folder is not None:
            seconds = int(folder[1]) * {"s": 1, "m": 60, "h": 3600}[folder[2]]
            if seconds in SIZES:
                self._must_start_bars(starts, seconds)
                longest = _longest_fit(starts)
                if longest > seconds and _common_distance(starts) == longest:
                    said = f"starts {longest} s after the row above it, as most rows do"
                    raise self.wrong(
                        f"{said}; the folder says bars of {seconds} s", _first_row_after(starts, longest)
                    )
                return seconds
        longest, common = _longest_fit(starts), _common_distance(starts)
        if common > longest:  # a row off the grid would make all bars shorter, and so known before they end
            hint = f"as most rows here are · if all are of {longest} s, put the file in a folder {_folder_name(longest)}"
            self._must_start_bars(starts, common, f", {hint}")
        return longest

    def _must_start_bars(self, starts: Any, seconds: int, hint: str = "") -> None:
        for row, ms in enumerate(starts, 2):
            if ms % (seconds * 1000):
                raise self.wrong(f"{from_ms(ms):%H:%M:%S} is no start of a bar of {seconds} s{hint}", row)


def _longest_fit(starts: Any) -> int:
    """Return the longest bar (seconds) that fits all starts and their distances."""
    closest = min((later - earlier for earlier, later in pairwise(starts)), default=60_000) // 1000
    fits = gcd(*{ms // 1000 % SIZES[-1] for ms in starts})  # 0 (all on the hour) is divisible by everything
    return max(size for size in SIZES if size <= closest and fits % size == 0)


def _common_distance(starts: Any) -> int:
    """Return the most common distance (seconds) when it is a bar's length and most distances are multiples of it, else 0."""
    distances = Counter((later - earlier) // 1000 for earlier, later in pairwise(starts))
    most = max(distances.values(), default=0)
    if most < TELLING:
        return 0
    common = min(distance for distance, count in distances.items() if count == most)
    multiples = sum(count for distance, count in distances.items() if distance % common == 0)
    return common if common in SIZES and 2 * multiples > distances.total() else 0


def _first_row_after(starts: Any, seconds: int) -> int:
    distances = ((later - earlier) // 1000 for earlier, later in pairwise(starts))
    return next(row for row, distance in enumerate(distances, 3) if distance == seconds)


def _folder_name(seconds: int) -> str:
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
