"""Pages of the documentation, taken apart: blocks of code, directives, links, tables.

A directive is a comment of the page, ``<!-- name: value -->``, before the block it is about:

- ``file: NAME``: the block is also written to ``NAME``, beside which the page's commands run;
- ``session: ARGS``: the block begins a session of ``tradeshell ARGS``; later ones without it go on in that session.

A block that shows a session and begins with ``$ tradeshell ARGS`` needs no directive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# Pages whose blocks are run by a test of their own.
ELSEWHERE = {
    "docs/hooks.md": "tests/host/test_hooks_documented.py",
    "docs/write-a-plugin.md": "tests/host/test_hooks_documented.py",
}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(r"<!--\s*([a-z]+):\s*(.*?)\s*-->")
_LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
_PROMPT = re.compile(r"^(?:paper|replay|LIVE)> (.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``line`` is that of its first line in the page, ``start`` and ``end`` enclose its text."""

    page: Path
    line: int
    start: int
    end: int
    language: str
    text: str
    directives: tuple[tuple[str, str], ...]

    @property
    def place(self) -> str:
        """Where the block is: ``README.md:12``."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_session(self) -> bool:
        """Whether lines are typed at a prompt here."""
        return any(_PROMPT.match(line) for line in self.text.splitlines())

    def directive(self, name: str) -> str | None:
        """Return the value of a directive, ``None`` without one."""
        return dict(self.directives).get(name)


@dataclass(frozen=True)
class Typed:
    """A line that is typed, and what the page says that it prints. An empty ``line`` is what comes before the first."""

    head: str
    line: str
    shown: str


def pages() -> list[Path]:
    """Return every page: the README and the folder ``docs``."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page with the directives that stand right before them."""
    text = page.read_text(encoding="utf-8")
    found = []
    after = 0
    for match in _FENCE.finditer(text):
        between = text[after : match.start()]
        near = re.search(r"(?:<!--.*?-->\s*)+\Z", between)
        found.append(
            Block(
                page=page,
                line=text.count("\n", 0, match.start(2)) + 1,
                start=match.start(2),
                end=match.end(2),
                language=match[1],
                text=match[2],
                directives=tuple(_DIRECTIVE.findall("" if near is None else near[0])),
            )
        )
        after = match.end()
    return found


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Return where the links of a page lead."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made on the web."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands_in(block: Block) -> list[Typed]:
    """Return the shell's lines (``$ …``) of a block with what they print; a backslash at a line's end continues it."""
    return _taken_apart(block, re.compile(r"^\$ (.*)$"), continues=True)


def lines_in(block: Block) -> list[Typed]:
    """Return the lines typed at tradeshell's prompt in a block with what they print."""
    return _taken_apart(block, _PROMPT, continues=False)


def _taken_apart(block: Block, prompt: re.Pattern[str], *, continues: bool) -> list[Typed]:
    found: list[Typed] = []
    head = typed = shown = ""
    for line in block.text.splitlines(keepends=True):
        match = prompt.match(line.rstrip("\n"))
        if continues and typed.endswith("\\") and not shown:
            typed += "\n" + line.rstrip("\n")
            head += line
        elif match is None:
            shown += line
        else:
            found.append(Typed(head, typed, shown))
            head, typed, shown = line, match[1], ""
    found.append(Typed(head, typed, shown))
    return found if found[0].shown or found[0].line else found[1:]


def sections(page: Path, level: int = 2) -> dict[str, str]:
    """Return the text below each heading of ``level``, blocks included."""
    mark = "#" * level
    parts = re.split(rf"^{mark} (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def tables(text: str) -> list[list[dict[str, str]]]:
    """Return the tables in a text as rows of cells by column; marks of code are taken off."""
    found: list[list[dict[str, str]]] = []
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
            found.append([])
        elif not all(set(cell) <= set("-: ") for cell in cells):
            found[-1].append(dict(zip(header, (plain(cell) for cell in cells), strict=True)))
    return found


def plain(cell: str) -> str:
    """Return a cell without the marks of code."""
    return cell.replace("`", "")
