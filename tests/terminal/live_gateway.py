"""The paper gateway with an account that looks live, which it refuses to everybody else: ``python -m`` with its words."""

from __future__ import annotations

import sys

from tradeshell.cli import main
from tradeshell_paper import settings

if __name__ == "__main__":
    setattr(settings, "_paper_account", str)  # noqa: B010  # private on purpose: no option may do this
    sys.exit(main())
