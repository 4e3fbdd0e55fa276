"""Every block of every page runs, and prints what the page shows."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ELSEWHERE, ROOT, Block, blocks, name_of, pages
from tests.docs.play import COLUMNS, NOT_RUN, agrees, played

from tradeshell.config import load_settings
from tradeshell.testing.pytest_plugin import fix_terminal
from tradeshell_paper.settings import read_settings

LANGUAGES = ("console", "json", "python", "text", "toml")
PLAYED = [page for page in pages() if name_of(page) not in ELSEWHERE]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fix_terminal(monkeypatch, COLUMNS)
    return tmp_path


@pytest.mark.timeout(100)
@pytest.mark.parametrize("page", PLAYED, ids=name_of)
def test_what_a_page_shows_is_what_happens(page: Path, folder: Path) -> None:
    wrong = [
        "".join(
            difflib.unified_diff(
                result.block.text.splitlines(keepends=True),
                result.actual.splitlines(keepends=True),
                f"{result.block.place} says",
                "really",
            )
        )
        for result in played(page, folder)
        if result.actual != result.block.text
    ]
    assert not wrong, "\n".join([*wrong, f"python -m tests.docs.write {name_of(page)} puts it right"])


def of_language(*languages: str) -> list[Block]:
    return [block for page in PLAYED for block in blocks(page) if block.language in languages]


def test_every_block_says_what_it_is() -> None:
    strange = [block.place for page in PLAYED for block in blocks(page) if block.language not in LANGUAGES]
    assert strange == []


@pytest.mark.parametrize("block", of_language("text"), ids=lambda block: block.place)
def test_a_block_of_text_hides_nothing_that_could_be_run(block: Block) -> None:
    assert not re.search(r"^\$ |^(paper|replay|LIVE)> ", block.text, re.MULTILINE)


@pytest.mark.parametrize("block", of_language("toml"), ids=lambda block: block.place)
def test_a_config_is_taken_by_the_program(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(block.text, encoding="utf-8")
    settings = load_settings({"config": str(path)}, {})
    read_settings(settings.brokers.get("paper", {}))


@pytest.mark.parametrize("block", of_language("json"), ids=lambda block: block.place)
def test_every_line_of_json_is_an_object(block: Block) -> None:
    assert all(isinstance(json.loads(line), dict) for line in block.text.splitlines())


def test_every_target_of_make_that_a_page_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    # `make TARGET` on a line of a block, or as code in a sentence
    pattern = re.compile(r"(?:^\$ |`)make ((?:[a-z-]+ ?)+)", re.MULTILINE)
    named = {
        target
        for page in PLAYED
        for targets in pattern.findall(page.read_text(encoding="utf-8"))
        for target in targets.split()
    }
    assert named
    assert named <= there


def test_only_what_cannot_be_run_here_is_not_run() -> None:
    assert NOT_RUN == ("make", "git", "pip", "cd", "source")
    skipped = [b.text for b in of_language("console") if re.match(rf"\$ (?:{'|'.join(NOT_RUN)}) ", b.text)]
    mixed = [text for text in skipped if re.search(r"^\$ tradeshell", text, re.MULTILINE)]
    assert mixed == []


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_a_page_that_is_not_played_here_has_a_test_of_its_own(page: str) -> None:
    assert Path(page).name in (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")


def test_pages_do_not_speak_of_where_they_were_made() -> None:
    said = re.compile(
        r"/wor[k]/|/hom[e]/|/tm[p]/|/roo[t]/|\bagents?\b|\bpypi\.org|https?://localhost", re.IGNORECASE
    )
    found = {
        f"{name_of(page)}: {match[0]}" for page in pages() for match in said.finditer(page.read_text("utf-8"))
    }
    assert found == set()


def test_the_folder_of_pages_is_there() -> None:
    assert DOCS.is_dir()


# --- the comparison itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shown, printed, same",
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("a\n", "a\nb\n", False),
        ("armed br-aaaaa\n", "armed br-zzzzz\n", True),
        ("armed br-aaaaa\n", "armed m-zzzzz\n", False),
        ("DU…0001\n", "DU…0002\n", False),
        ("", "", True),
        ("", "a\n", False),
    ],
)
def test_a_page_agrees_with_what_is_printed(shown: str, printed: str, same: bool) -> None:
    assert agrees(shown, printed) is same
