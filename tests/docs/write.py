"""``python -m tests.docs.write [PAGE…]``: put what the blocks of the pages really print into the pages.

Without a page: all that tests/docs plays. Read the difference before you keep it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.docs import pictures, shapes
from tests.docs.pages import ELSEWHERE, name_of, pages
from tests.docs.play import COLUMNS, rewritten


def main(names: list[str]) -> int:
    """Rewrite the pages called ``names``."""
    os.environ["COLUMNS"] = COLUMNS
    if not names:
        sys.stdout.writelines(f"rewritten  {name}\n" for name in (*shapes.write(), *pictures.write()))
    chosen = [Path(name).resolve() for name in names] or [p for p in pages() if name_of(p) not in ELSEWHERE]
    for page in chosen:
        with tempfile.TemporaryDirectory(prefix="tradeshell-docs-") as folder:
            text = rewritten(page, Path(folder))
        changed = text != page.read_text(encoding="utf-8")
        if changed:
            page.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{'rewritten' if changed else 'right'}  {page.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
