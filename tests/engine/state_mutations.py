"""State files that somebody, or a disk, has changed: ``python -m tests.engine.state_mutations --count 100000 [--from K]``.

Each number draws one change of a whole snapshot (bytes flipped, cut or put in; lines lost, doubled or swapped; values of another
type; keys with a slip), and has the program read it. What is judged:

- reading raises nothing and says everything in single lines;
- what is not taken is told, and the file as it was is set aside, byte by byte;
- a watcher that the journal knows is what the journal says, whatever the file says;
- without a journal nothing is armed unless somebody says so, and what is armed then trades what the file validly says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from tests.core.support import AAPL, ACCOUNT, SESSION, Desktop, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.plan import ExitMode
from tradeshell.engine.recovery import Recovered, disagreement, left_waiting
from tradeshell.engine.state import Saved, dumped, snapshot
from tradeshell.engine.store import Loaded, load

VALUES = (
    "0", "-1", "1e309", "nan", "inf", "true", '"100"', '""', '"nan"', "[]", "{}", "2025-07-08", "9" * 400,
    '"\\u001b[2J"',
    '"../../etc"', '"AAPL\\n[[watchers]]"', "'''", "0x10", "1979-05-27T07:32:00Z", '"' + "x" * 5000 + '"', '"\uff11\uff10\uff10"',
    "[[1]]",
)  # fmt: skip
BYTES = (0, 9, 10, 13, 27, 34, 39, 44, 46, 61, 91, 93, 123, 125, 127, 128, 192, 239, 255)


def base() -> Desktop:
    """Return a desk with a trade and two watchers that wait."""
    desk = Desktop()
    desk.open_position()
    desk.watch("br-2", sl=None, tps=())
    ladder = (Decimal(195), Decimal(198), Decimal(205))
    desk.watch("br-3", tps=ladder, mode=ExitMode.DETACHED, entry_timeout=None, client_tag="a 'tag' \"[x]\"")
    return desk


class Mutations:
    """The changes of one file, by number."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.toml"
        desk = base()
        self._saved = snapshot(desk.desk, session="s1", broker="ibkr", journal_seq=17)
        self._text = dumped(self._saved).encode()
        known = {watcher.id: watcher.spec for watcher in self._saved.watchers}
        self._found = Recovered(desk.desk, 17, session="s1", over=("br-1",))
        self.known = known
        self.tally: Counter[str] = Counter()

    def draw(self, number: int) -> bytes:
        """Return the file after one to three changes."""
        dice = Random(f"state {number}")
        data = self._text
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            data = self._changed(dice, data)
        return data

    def _changed(self, dice: Random, data: bytes) -> bytes:
        at = dice.randrange(max(1, len(data)))
        kind = dice.randrange(10)
        lines = data.split(b"\n")
        line = dice.randrange(len(lines))
        if kind == 0:
            return data[:at]
        if kind == 1:
            return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        if kind == 2:
            return data[:at] + bytes([dice.choice(BYTES)]) + data[at:]
        if kind == 3:
            return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :] if data else b""
        if kind == 4:
            del lines[line]
        elif kind == 5:
            lines.insert(dice.randrange(len(lines)), lines[line])
        elif kind == 6:
            other = dice.randrange(len(lines))
            lines[line], lines[other] = lines[other], lines[line]
        elif kind == 7:
            return data[:at] + data[at + dice.randrange(1, 400) :]
        elif b"=" in lines[line]:
            key, _, value = lines[line].partition(b"=")
            if kind == 8:
                lines[line] = key + b"= " + dice.choice(VALUES).encode()
            else:
                lines[line] = key.strip()[::-1] + b" =" + value
        return b"\n".join(lines)

    def play(self, number: int) -> list[str]:
        """Return what is wrong with how one changed file is read."""
        data = self.draw(number)
        for file in self._path.parent.iterdir():
            file.unlink()
        self._path.write_bytes(data)
        try:
            found = load(self._path)
            return [f"{number}: {each}" for each in self._wrong(data, found)]
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            return [f"{number}: {type(error).__name__}: {error}"]

    def _wrong(self, data: bytes, found: Loaded) -> list[str]:
        wrong = [
            f"a note of several lines: {note!r}" for note in found.notes if "\n" in note or "\x1b" in note
        ]
        asides = [path for path in self._path.parent.iterdir() if "-1" in path.name]
        kept = any(path.read_bytes() == data for path in asides)
        if found.saved is None or found.saved.left_out:
            self.tally["set aside" if found.saved is None else "in part"] += 1
            if not found.notes or not kept:
                wrong.append("something was not taken, and that is not told, or the file is gone")
        else:
            self.tally["whole" if found.saved == self._saved else "taken as changed"] += 1
            entries = tomllib.loads(data.decode("utf-8-sig")).get("watchers", [])
            if len(entries) != len(found.saved.watchers):
                wrong.append(f"{len(entries)} watchers in the file, {len(found.saved.watchers)} are taken")
        if found.saved is not None:
            wrong += self._wrong_watchers(found.saved)
        return wrong

    def _wrong_watchers(self, saved: Saved) -> list[str]:
        desk = Desktop()
        at = desk.at
        disagreement(saved, self._found, "ibkr")
        wrong = [
            f"{each.watch.id} is taken from the file, the journal knows it"
            for each in left_waiting(saved, self._found, "x", at)
            if each.watch.id in self.known
        ]
        left = left_waiting(saved, Recovered(desk.desk), "the journal is missing", at)
        for each in left:
            desk.feed(each)
            meanwhile = i.Meanwhile(
                instrument=AAPL, session=SESSION, quote=quote(desk.at, bid="1", ask="1.01")
            )
            ask = i.ResumeRequested(at=desk.at, watch=each.watch.id, found=meanwhile)
            desk.feed(ask)
            if desk.desk.watchers[each.watch.id].phase is WatchPhase.ARMED:
                return [*wrong, f"{each.watch.id} is armed, and nobody said so"]
            desk.feed(i.ResumeRequested(at=desk.at, watch=each.watch.id, found=meanwhile, is_sure=True))
        specs = {each.watch.id: each.watch for each in left}
        for watcher in tuple(desk.desk.watchers.values()):
            if watcher.phase is not WatchPhase.ARMED:
                self.tally["cannot be armed"] += 1
                continue
            self.tally["armed by somebody"] += 1
            plan = specs[watcher.spec.id].plan
            if plan.symbol != "AAPL" or plan.account != ACCOUNT or not 0 < plan.qty <= 50_000:
                wrong.append(f"{watcher.spec.id} is armed with {plan}")
        desk.at += timedelta(minutes=5)
        desk.close_bar(4, "9000000")
        for fired in tuple(desk.desk.trade_symbols):
            desk.answer(quote(desk.at, bid="9000000", ask="9000000.01"), key=fired)
        placed = [order.order for order in desk.all if isinstance(order, c.PlaceOrder)]
        wrong += [
            f"{order.ref} {order.qty} of {order.account}"
            for order in placed
            if order.ref.endswith(":entry:1") and order.qty != specs[order.ref.split(":")[1]].plan.qty
        ]
        return wrong


def run(first: int, count: int) -> tuple[list[str], Counter[str]]:
    """Read so many changed files; return what is wrong, and how often what came of them."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        mutations = Mutations(Path(folder))
        for number in range(first, first + count):
            wrong += mutations.play(number)
    return wrong, mutations.tally


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign."""
    parser = argparse.ArgumentParser(prog="state_mutations", description="State files that were changed.")
    parser.add_argument("--count", type=int, default=100_000, help="how many files")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first number")
    options = parser.parse_args(arguments)
    wrong, tally = run(options.first, options.count)
    sys.stdout.write("".join(f"{each}\n" for each in wrong[:50]))
    sys.stdout.write("  ".join(f"{count} {name}" for name, count in tally.most_common()) + "\n")
    sys.stdout.write(f"{options.count} files, {len(wrong)} violations\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
