"""Third-party plugins, installed with pip where nothing of this checkout is within reach, are there at the next start."""

from __future__ import annotations

import csv
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from tests.host.test_packaging import Installation, report, run
from tests.support.wheels import ROOT, install

from tradeshell.plugins import BUNDLED

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))
WRITE_PAGE = ROOT / "docs/write-a-plugin.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install the host, all bundled plugins, the samples and the plugin that docs/write-a-plugin.md writes, from wheels."""
    place = tmp_path_factory.mktemp("examples")
    written = place / "tradeshell-rr"
    written.mkdir()
    page = WRITE_PAGE.read_text(encoding="utf-8")
    for language, name in (("python", "tradeshell_rr.py"), ("toml", "pyproject.toml")):
        (text,) = re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[:1]
        (written / name).write_text(text, encoding="utf-8")
    return install(place, *EXAMPLES, written)


def says(installed: Installation, *words: str, ok: bool = True) -> str:
    """Run the installed program with a state directory of its own and return what it says on stdout and stderr."""
    done = installed.tradeshell("--state-dir", str(installed.home / "state"), *words, timeout=100)
    assert (done.returncode == 0) is ok, report(done)
    assert "Traceback" not in done.stdout + done.stderr, report(done)
    return done.stdout + done.stderr


def test_there_are_three_samples_and_none_is_part_of_the_workspace() -> None:
    assert [path.name for path in EXAMPLES] == [
        "tradeshell-atr-targets",
        "tradeshell-fills-csv",
        "tradeshell-risk",
    ]
    assert (
        "examples" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.pytest")[0]
    )
    for path in EXAMPLES:
        (module,) = path.glob("*.py")
        assert module.read_text(encoding="utf-8").count("\n") <= 40


@pytest.mark.timeout(240)
def test_installed_plugins_are_there_at_the_next_start(installed: Installation) -> None:
    rows = {line.split()[0]: line for line in says(installed, "-c", "plugins").splitlines() if line.split()}
    assert "command size" in rows["risk"]
    assert "sink fills_csv" in rows["fills_csv"]
    assert "take_profit atr" in rows["atr_targets"]
    assert "take_profit auto" in rows["tp_auto"]
    assert "command rr" in rows["rr"]
    assert set(BUNDLED) <= set(rows)
    for path in EXAMPLES:
        version = re.search(
            r'^version = "(.*)"$', (path / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert version is not None
        assert version[1] in rows[path.name.removeprefix("tradeshell-").replace("-", "_")]


@pytest.mark.timeout(240)
def test_nothing_of_this_checkout_is_used(installed: Installation) -> None:
    names = ("tradeshell", "tradeshell_risk", "tradeshell_paper")
    code = f"import {', '.join(names)}; print({', '.join(f'{name}.__file__' for name in names)})"
    done = run(installed.python, "-c", code, cwd=installed.home)
    assert done.stdout.count(str(installed.place)) == 3, report(done)
    assert str(ROOT) not in done.stdout


@pytest.mark.timeout(240)
def test_the_sample_command_works_as_its_readme_shows(installed: Installation) -> None:
    readme = (ROOT / "examples/tradeshell-risk/README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^paper> (.*)\n(.*)\n", readme, flags=re.MULTILINE)
    assert len(shown) == 1
    for typed, said in shown:
        assert said in says(installed, "-c", typed).splitlines()


@pytest.mark.timeout(240)
def test_the_sample_command_refuses_in_one_line(installed: Installation) -> None:
    assert "size: sl=191: it must lie below the entry (190) · example: size AAPL" in says(
        installed, "-c", "size AAPL level=190 sl=191 risk=200", ok=False
    )
    assert "size: unknown key rsk (did you mean risk?)" in says(
        installed, "-c", "size AAPL level=190 sl=187 rsk=200", ok=False
    )


@pytest.mark.timeout(240)
def test_the_sample_command_has_help(installed: Installation) -> None:
    said = says(installed, "-c", "help size")
    assert "Shares for a risk in USD" in said
    for words in (
        "level=",
        "entry, USD",
        "the ask",
        "risk=",
        "most to lose, USD",
        "size AAPL level=190 sl=187 risk=200",
    ):
        assert words in said
    assert "size" in says(installed, "-c", "help")


@pytest.mark.timeout(240)
def test_the_sample_method_computes_targets_that_say_how(installed: Installation) -> None:
    readme = (ROOT / "examples/tradeshell-atr-targets/README.md").read_text(encoding="utf-8")
    (typed,) = re.findall(r"^paper> (.*)$", readme, flags=re.MULTILINE)
    said = says(installed, "-c", typed)
    found = [
        Decimal(price)
        for price in re.findall(r"^  tp\d (\S+): \d x ATR \S+ above the level$", said, re.MULTILINE)
    ]
    assert len(found) == 2
    assert Decimal(190) < found[0] < found[1]
    assert abs((found[1] - 190) - 2 * (found[0] - 190)) <= Decimal("0.01")
    assert "14 15m bars" in said
    assert "tp=auto tp=atr" in says(installed, "-c", "plan AAPL 190 100 tp=rta sl=187", ok=False)


@pytest.mark.timeout(240)
def test_the_sample_method_refuses_without_a_past(installed: Installation, tmp_path: Path) -> None:
    bars = "ts,open,high,low,close,volume\n2013-10-08T13:30:00Z,10,11,9,10,100\n2013-10-08T13:31:00Z,10,11,9,10,100\n"
    (tmp_path / "AAA_2013-10-08_trades.csv").write_text(
        bars + "2013-10-08T13:32:00Z,10,11,9,10,100\n", encoding="utf-8"
    )
    replay = f"--replay={tmp_path / 'AAA_2013-10-08_trades.csv'}"
    said = says(installed, replay, "--speed", "max", "-c", "plan AAA 12 100 tp=atr", ok=False)
    assert "tp=atr: AAA has 0 bars of 15 minutes, 15 are needed" in said


COMPLETE = """
import json
from tradeshell.testing import open_shell

with open_shell("--market DEMO=100") as shell:
    found = {}
    for line in ("siz", "size DEMO ", "size DEMO ri", "size DEMO risk=", "size DEMO level=190 "):
        text = line.rpartition(" ")[2]
        offers = shell.complete(text, line, len(line) - len(text), len(line))
        found[line] = [item.text for item in offers.items]
    print(json.dumps(found))
"""


@pytest.mark.timeout(240)
def test_the_sample_command_completes(installed: Installation) -> None:
    done = run(installed.python, "-c", COMPLETE, cwd=installed.home)
    assert done.returncode == 0, report(done)
    found = {
        line: [text.strip() for text in texts]
        for line, texts in json.loads(done.stdout.splitlines()[-1]).items()
    }
    assert found["siz"] == ["size"]
    assert {"level=", "sl=", "risk="} <= set(found["size DEMO "])
    assert found["size DEMO ri"] == ["risk="]
    assert found["size DEMO risk="] == ["risk=100", "risk=200", "risk=500"]
    assert "level=" not in found["size DEMO level=190 "]


@pytest.mark.timeout(240)
def test_the_fills_of_a_demo_land_in_the_csv(installed: Installation, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[sinks.fills_csv]\npath = "{tmp_path / "fills.csv"}"\n', encoding="utf-8")
    told = says(installed, "--config", str(config), "demo", "--speed", "max")
    with (tmp_path / "fills.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["symbol"] for row in rows} == {"DEMO"}
    bought = sum(int(row["qty"]) for row in rows if row["side"] == "BUY")
    sold = sum(int(row["qty"]) for row in rows if row["side"] == "SELL")
    assert bought == sold > 0
    assert {row["leg"] for row in rows} >= {"entry"}
    for row in rows:
        assert Decimal(row["price"]) > 0
        assert row["at"].endswith("+00:00")
        assert f"{row['qty']} @ {Decimal(row['price']):f}" in told


@pytest.mark.timeout(240)
def test_safe_mode_leaves_the_samples_out(installed: Installation) -> None:
    rows = {
        line.split()[0]: line
        for line in says(installed, "--safe-mode", "-c", "plugins").splitlines()
        if line.split()
    }
    for name in ("risk", "fills_csv", "atr_targets", "rr"):
        assert "safe mode takes bundled plugins only" in rows[name]
    says(installed, "--safe-mode", "-c", "size AAPL level=190 sl=187 risk=200", ok=False)
