"""Whose records a state folder holds: one account's, for ever.

The journal resumes trades, and a trade of a paper account must never be resumed on a live one. The folder remembers the first
account that was connected from it, by its alias and a digest; the id itself is not written.

Laws: a folder is claimed before anything is asked of the gateway; a file that cannot be read or written refuses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from tradeshell import masked
from tradeshell_ibkr.guards import LinkFailure
from tradeshell_ibkr.states import LinkState

NAME = "account.json"


def claim(folder: Path, account: str) -> None:
    """Take the folder for ``account``; raises ``LinkFailure`` when it holds the records of another one."""
    path = folder / NAME
    digest = hashlib.blake2s(account.encode()).hexdigest()[:16]
    try:
        found = json.loads(path.read_bytes())
        owner, alias = str(found["digest"]), str(found["alias"])
    except (OSError, ValueError, KeyError, TypeError):
        with contextlib.suppress(OSError):
            path.write_text(json.dumps({"alias": masked(account), "digest": digest}), encoding="utf-8")
            path.chmod(0o600)
        return
    if owner != digest:
        raise LinkFailure(
            LinkState.GUARDED,
            f"this state folder has the records of account {alias}, the gateway is logged in to {masked(account)}: "
            "log in to that one, or choose another folder with --state-dir",
        )
