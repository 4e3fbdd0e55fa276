"""Files and folders (groups P and X of the scenarios): what a disk, a hand or a second program does to what is kept.

Laws: a refusal to start is one line and an exit code, before anything is connected; what could be lost is named.
"""

# ids of scenarios have capital letters

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.scenes import commands, stops
from tests.faults.wire_kit import WireStage
from tests.scenarios.test_whole_program import tradeshell

from tradeshell.core import inputs as i
from tradeshell.core.events import SinkMuted
from tradeshell.core.trade import TradePhase
from tradeshell.engine.journal import read_gaps, read_journal
from tradeshell.engine.store import StateFolder, load

STATUS = "status"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_P01_P02_on_a_disk_that_takes_nothing_stops_move_and_no_entry_leaves(
    wire: WireStage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Journal and log refuse every write while a target fills and somebody buys; then the disk is well again.

    Kills: protection that waits for the disk; an entry whose trigger is nowhere; a gap that nobody can see.
    """
    wire.ladder()

    def failing(fd: int, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing)
        wire.quote("195", "195.02")
        wire.quote("194.90", "194.92")
        wire.wait(2)
        assert stops(wire) == {"sl2": "190", "sl3": "190"}
        began = wire.t
        wire.order_now("m-1")
        wire.wait(2)
        assert commands(wire, began) == []
        trade = wire.session.desk.trade("m-1")
        assert trade is not None
        assert trade.phase is TradePhase.CLOSED
    wire.wait(35)  # the next look at the account is on disk again
    told = [event for event in wire.told(SinkMuted) if event.sink == "journal"]
    assert os.strerror(number) in told[0].reason
    assert "entries are refused, exits go on" in told[0].reason
    gaps = read_gaps(wire.folder / "journal")
    assert gaps
    assert os.strerror(number) in gaps[0].why
    wire.order_now("m-2")
    wire.wait(2)
    assert len([order for order in wire.sent if order.leg == "entry"]) == 2
    wire.sells_at_most(140)


def test_P03_of_the_last_two_decisions_every_prefix_is_read_and_only_whole_ones_count(
    wire: WireStage,
) -> None:
    """The journal of a running ladder is cut at every byte of its last two lines.

    Kills: a torn record that is believed; one that keeps those before it from being read.
    """
    wire.ladder()
    data = (wire.folder / "journal").read_bytes()
    lines = data.splitlines(keepends=True)
    whole = len(lines) - 1  # the first is no decision
    cut = wire.folder / "cut"
    count = 0
    for end in range(len(data) - len(lines[-1]) - len(lines[-2]), len(data) + 1):
        cut.write_bytes(data[:end])
        count = len(list(read_journal(cut)))
        assert count == data[:end].count(b"\n") - 1
    assert count == whole


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """Assert that a start was refused in one line; return it."""
    assert run.returncode == 1, run.stdout
    (line,) = run.stderr.splitlines()
    assert line.startswith("tradeshell: ")
    return line


@pytest.mark.parametrize("place", ["file/state", "file", "/proc/nothing/here"])
def test_P05_a_folder_that_cannot_be_made_or_written_is_one_line_before_anything_is_connected(
    tmp_path: Path, place: str
) -> None:
    """The state folder lies below a file, is a file, or where nothing can be made.

    Kills: a start that trades and cannot remember it.
    """
    (tmp_path / "file").write_text("")
    config = tmp_path / "config.toml"
    config.touch()
    words = ["--config", str(config), "--state-dir", str(tmp_path / place), "-c", STATUS]
    run = subprocess.run(
        [sys.executable, "-m", "tradeshell", *words], capture_output=True, text=True, timeout=50, check=False
    )
    line = refused(run)
    assert "choose another" in line
    assert run.stdout == ""


def test_P06_a_damaged_state_file_is_named_and_kept_and_the_program_starts(tmp_path: Path) -> None:
    """Half of it is missing, and there is no generation before.

    Kills: a damaged file that means "no watchers", without a word.
    """
    assert tradeshell(tmp_path, STATUS).returncode == 0
    path = tmp_path / "paper" / "state.toml"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    (tmp_path / "paper" / "state.toml.1").unlink(missing_ok=True)
    run = tradeshell(tmp_path, STATUS)
    assert run.returncode == 0
    assert "is damaged" in run.stderr
    assert "set aside as state.toml.damaged-1" in run.stderr
    assert (tmp_path / "paper" / "state.toml.damaged-1").read_bytes() == data[: len(data) // 2]


def test_P07_a_watcher_that_was_edited_badly_is_shown_with_its_line_and_left_out(tmp_path: Path) -> None:
    """Somebody writes qty = "100".

    Kills: a file that is refused as a whole for one word; a value that is guessed at.
    """
    assert tradeshell(tmp_path, "breakout DEMO 150 100 sl=149").returncode == 0
    path = tmp_path / "paper" / "state.toml"
    text = path.read_text(encoding="utf-8").replace("qty = 100", 'qty = "100"')
    path.write_text(text, encoding="utf-8")
    number = text[: text.index('qty = "100"')].count("\n") + 1
    run = tradeshell(tmp_path, STATUS)
    assert run.returncode == 0
    assert f"line {number}, plan.qty = 100: input should be a valid integer · it was left out" in run.stderr
    assert "the file as it was is state.toml.edited-1" in run.stderr
    assert "Traceback" not in run.stderr


def test_P08_what_is_kept_is_for_its_owner_alone_and_a_wider_folder_is_told(tmp_path: Path) -> None:
    """A session has run; then the folder is opened to others.

    Kills: journals that everybody on the computer may read.
    """
    assert tradeshell(tmp_path, "breakout DEMO 150 100 sl=149").returncode == 0
    folder = tmp_path / "paper"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}
    assert {name for name, mode in modes.items() if mode != 0o600} == set()
    folder.chmod(0o755)
    run = tradeshell(tmp_path, STATUS)
    assert run.returncode == 0
    assert "can be read by others (mode 0755): chmod 700" in run.stderr


def test_P11_no_file_of_the_state_holds_an_account_in_full(wire: WireStage) -> None:
    """A ladder has run, and was killed.

    Kills: ids of accounts in what is kept, or sent around with a report.
    """
    wire.ladder()
    wire.crash()
    account = wire.account
    assert re.fullmatch(r"DU\d+", account)
    for path in wire.folder.rglob("*"):
        if path.is_file():
            assert account.encode() not in path.read_bytes(), path.name


def test_P13_a_second_program_on_one_folder_is_told_who_has_it(tmp_path: Path) -> None:
    """The first one runs.

    Kills: two writers of one journal.
    """
    folder = tmp_path / "live"
    folder.mkdir(mode=0o700)
    held = StateFolder(folder, may_move=False)
    code = (
        "import sys; from pathlib import Path; from tradeshell.engine.store import StateFolder\n"
        "from tradeshell.errors import StateError\n"
        "try: StateFolder(Path(sys.argv[1]), may_move=False)\n"
        "except StateError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=50, check=False
    )
    assert f"is used by another tradeshell (process {os.getpid()})" in run.stdout
    held.close()


def test_X10_a_state_folder_that_is_a_link_or_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever may change the link, or put files there, chooses which journal is believed.

    Kills: a state that somebody else supplies.
    """
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    (mine / "paper").symlink_to(other)
    line = refused(tradeshell(mine, STATUS))
    assert f"is a link to {other}" in line
    assert list(other.iterdir()) == []
    (mine / "paper").unlink()
    (mine / "paper").mkdir()
    (mine / "paper").chmod(0o777)
    line = refused(tradeshell(mine, STATUS))
    assert "can be written by everybody (mode 0777): chmod 700" in line


# --- what operators type and what is kept of it -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line,said",
    [
        ("breakout DEMO level=190 qty=100 tpp=195", "did you mean tp"),
        ("breakout DEMO 190 100 tp=198-195-205 sl=187", "must lie above"),
        ("breakout DEMO 190 100 tp=195-198-205 sl=191", "lies below"),
        ("breakout DEMO 190 100 tp=195-198-205 sl=187 tp_alloc=50-30-30", "tp_alloc"),
        ("breakout DEMO 190 1e309 sl=187", "qty"),
        ("breakout DEMO 190,5 100 sl=187", "level"),
        ("breakout ../../etc 190 100 sl=187", "symbol"),
        ("breakout DEMO 190 100 sl=187 client_tag=" + "x" * 300, "client_tag"),
    ],
)
def test_O01_O02_O03_O12_what_is_refused_is_neither_started_nor_kept(
    tmp_path: Path, line: str, said: str
) -> None:
    """Unknown keys, ladders that contradict themselves, odd numbers, hostile text.

    Kills: a watcher that is half started; words that reach a file.
    """
    run = tradeshell(tmp_path, line)
    assert run.returncode == 1
    assert said in run.stderr
    saved = load(tmp_path / "paper" / "state.toml").saved
    assert saved is not None
    assert saved.watchers == ()


def test_O12_text_that_toml_knows_for_its_own_is_kept_and_read_as_it_is(tmp_path: Path) -> None:
    """A tag with everything that a tag may hold.

    Kills: text that is put between quotes by hand.
    """
    tag = "a'[x]=#{y}.z"
    run = tradeshell(tmp_path, f'breakout DEMO 190 100 sl=187 client_tag="{tag}"')
    if run.returncode:  # a tag takes less than TOML does: then nothing of it is kept
        assert "client_tag" in run.stderr
        tag = "a.b-c_1"
        assert tradeshell(tmp_path, f"breakout DEMO 190 100 sl=187 client_tag={tag}").returncode == 0
    saved = load(tmp_path / "paper" / "state.toml").saved
    assert saved is not None
    (watcher,) = saved.watchers
    assert watcher.spec is not None
    assert watcher.spec.plan.client_tag == tag


def test_O04_the_same_watcher_twice_is_refused_and_the_first_one_is_kept_once(tmp_path: Path) -> None:
    """Kills: two watchers that buy one breakout twice."""
    line = "breakout DEMO 190 100 sl=187"
    run = tradeshell(tmp_path, line, line)
    assert run.returncode == 1
    assert "is watched already by" in run.stderr
    saved = load(tmp_path / "paper" / "state.toml").saved
    assert saved is not None
    assert len(saved.watchers) == 1


def test_O05_a_cancel_while_the_ladder_arms_leaves_its_shares_protected(wire: WireStage) -> None:
    """`breakout cancel` between the fill and the first stop; then the program is killed and starts again.

    Kills: a cancel that gives shares up; one that a restart forgets.
    """
    wire.trigger()
    wire.submit(i.WatchCancelRequested(at=wire.now, watch="br-1"))
    wire.wait(5)
    assert wire.trade_of().protection == "PROTECTED"
    wire.crash()
    wire.wait(3)
    wire.restart()
    wire.wait(15)
    assert wire.trade_of().protection == "PROTECTED"
    assert wire.position() == 100
