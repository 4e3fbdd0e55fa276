"""The pictures of the pages show what the shell prints today, and each is shown somewhere."""

from __future__ import annotations

import re

import pytest
from tests.docs.pages import pages
from tests.docs.pictures import FOLDER, SESSIONS, WIDTH, drawn, path_of

from tradeshell.testing.pytest_plugin import fix_terminal


@pytest.mark.parametrize("name", SESSIONS)
def test_a_picture_shows_what_the_shell_prints_today(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fix_terminal(monkeypatch, str(WIDTH))
    same = drawn(name) == path_of(name).read_text(encoding="utf-8")
    assert same, f"{path_of(name).name} is old: python -m tests.docs.write puts it right"


def test_every_picture_is_drawn_here_and_shown_on_a_page() -> None:
    linked = {
        (page.parent / found).resolve()
        for page in pages()
        for found in re.findall(r"!\[[^\]]+\]\(([^)]+\.svg)\)", page.read_text(encoding="utf-8"))
    }
    assert linked == {path_of(name) for name in SESSIONS} == set(FOLDER.iterdir())
