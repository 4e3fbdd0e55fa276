"""``python -m tests.contract.write``: put the cards, and what they need, into docs/broker-contract.md."""

from __future__ import annotations

import re
import sys

from tests.docs.pages import DOCS

from tradeshell.testing.broker_contract import CARDS, Can, cards_table

PAGE = DOCS / "broker-contract.md"


def can_table() -> str:
    """Return what a broker can do, and which cards ask for it, as a table."""
    rows = [
        f"| `{can.name}` | {can.value} | {' '.join(card.id for card in CARDS if can in card.needs)} |"
        for can in Can
    ]
    return "\n".join(("| name | what | cards |", "| --- | --- | --- |", *rows))


def written(text: str) -> str:
    """Return the page with its tables as they are in the code."""
    for heading, table in (("What a broker can do", can_table()), ("The cards", cards_table())):
        pattern = re.compile(rf"(^## {heading}\n.*?)^\|.*?(?=\n\n)", re.DOTALL | re.MULTILINE)
        found = pattern.search(text)
        assert found is not None, heading
        text = text[: found.start()] + found[1] + table + text[found.end() :]
    return text


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = written(before)
    PAGE.write_text(after, encoding="utf-8")
    sys.stdout.write(f"{'right' if after == before else 'rewritten'}  {PAGE.name}\n")
