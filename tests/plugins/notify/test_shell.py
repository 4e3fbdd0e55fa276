"""The plugin in a whole shell: the command, what `doctor` and the log say, and that no address is seen anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plugins.notify.services import hanging, nobody, service

from tradeshell.testing import open_runner, open_shell
from tradeshell.testing.outcome import Runner
from tradeshell.testing.transcript import discard_start


def config(folder: Path, *urls: str, more: str = "") -> Path:
    path = folder / "config.toml"
    listed = ", ".join(f'"{url}"' for url in urls)
    path.write_text(f"[sinks.notify]\nurls = [{listed}]\n{more}", encoding="utf-8")
    return path


def everything_in(folder: Path) -> str:
    """Return all that a session has left on the disk."""
    return "".join(path.read_text("utf-8") for path in sorted(folder.rglob("*")) if path.is_file())


def test_it_is_off_unless_the_config_has_its_table() -> None:
    with open_runner("--speed max") as shell:
        for line in ("notify", "notify test"):
            shell.run(line).assert_refused(
                "notify: it is off · a table [sinks.notify] with urls in the config"
            )
        assert "notify" not in {row.split()[0] for row in shell.run("doctor").text.splitlines()}


def test_a_test_arrives_and_what_happens_does(tmp_path: Path) -> None:
    with service() as there:
        args = ["--speed", "max", "--config", str(config(tmp_path, there.url))]
        with open_runner(args) as shell:
            assert shell.run("notify test").assert_ok().text == "  1 json: ok, sent\n"
            shell.run("buy DEMO 10").assert_ok()
            said = shell.run("notify").assert_ok().text
        assert "notify on · sent" in said
        assert "  1 json: ok, as far as is known" in said
        assert "pa55word" not in said
    first, *others = there.got
    assert first["message"].startswith("A test")
    assert any("DEMO" in got["message"] and "filled 10" in got["message"] for got in others)
    assert others[0]["title"].startswith("tradeshell DU…")


def test_no_address_reaches_the_screen_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    with service(500) as broken, hanging():
        urls = (broken.url, nobody(), "nonsense://5ecret", "tgram://5ecret:x/y")
        args = ["--speed", "max", "--state-dir", str(state), "--config", str(config(tmp_path, *urls))]
        with open_shell(args) as shell:
            discard_start(shell)
            runner = Runner(shell)
            runner.run("notify test").assert_refused("1 json: ")
            for line in ("buy DEMO 10", "notify", "doctor", "status", "tail ops", "tail events"):
                runner.run(line)
    seen = everything_in(state) + "".join(capsys.readouterr())
    assert "NotifyFailed" in seen
    assert [word for word in ("5ecret", "pa55word", "hooks/") if word in seen] == []


def test_settings_that_are_wrong_are_a_line_at_the_start_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, "pa55word")
    with open_shell(["--speed", "max", "--config", str(path)]) as shell:
        assert any(
            "sink notify is off: [sinks.notify] urls: number 1 is no address" in n for n in shell._notes
        )
        Runner(shell).run("buy DEMO 10").assert_ok()


def test_a_replay_is_silent(tmp_path: Path) -> None:
    bars = tmp_path / "DEMO_2025-07-08_trades.csv"
    bars.write_text(
        "ts,open,high,low,close,volume\n2025-07-08T13:30:00Z,100,101,99,100,1000\n2025-07-08T13:31:00Z,100,101,99,100,1000\n",
        encoding="utf-8",
    )
    args = ["--speed", "max", "--replay", str(bars), "--config", str(config(tmp_path, nobody()))]
    with open_runner(args) as shell:
        assert "notify silent in a replay · sent 0" in shell.run("notify").assert_ok().text
