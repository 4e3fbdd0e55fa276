"""``make oracle``: the table of agreement between the replay and the oracle."""

from __future__ import annotations

import sys
from collections import Counter

from tests.oracle.cases import ABSENT, DATA, replayed, rows


def main() -> int:
    """Print one line a level and the totals; return 1 if anything differs."""
    if not DATA.is_dir():
        print(ABSENT)
        return 0
    counts: Counter[str] = Counter()
    left_out: list[str] = []
    for row in rows():
        if not row.can_be_typed:
            left_out.append(row.name)
            continue
        ours = replayed(row)
        agrees = ours == row.expected
        counts["agree" if agrees else "DIFFER"] += 1
        counts[row.expected.result] += agrees
        print(f"{'ok    ' if agrees else 'DIFFER'} {row.name:<55} {row.expected.result}")
        if not agrees:
            print(f"       oracle {row.expected}\n       ours   {ours}")
    print(f"\nleft out, because the bracket does not lie around the level ({len(left_out)}):")
    for name in left_out:
        print(f"       {name}")
    kinds = " · ".join(f"{kind} {counts[kind]}" for kind in ("TP", "SL", "EOD", "NO_TRIGGER"))
    print(f"\n{counts['agree']} rows agree ({kinds}), {counts['DIFFER']} differ, {len(left_out)} left out")
    return 1 if counts["DIFFER"] else 0


if __name__ == "__main__":
    sys.exit(main())
