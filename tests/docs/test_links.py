"""Links between pages lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.pages import ROOT, anchors, links, name_of, pages


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_of_a_page_resolves(page: Path) -> None:
    broken = [link for link in links(page) if not _resolves(page, link)]
    assert broken == []


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


def test_the_readme_leads_to_every_page() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        waiting += [t for t in targets if t.suffix == ".md" and t.exists() and t not in reached]
    assert [name_of(page) for page in pages() if page not in reached] == []
