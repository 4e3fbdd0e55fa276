"""Every row of the oracle through the real program: same trigger bar, entry, exit kind, exit bar and price."""

from __future__ import annotations

import pytest
from tests.oracle.cases import ABSENT, DATA, Row, replayed, rows

ROWS = tuple(rows()) if DATA.is_dir() else ()
TRADED = tuple(row for row in ROWS if row.can_be_typed)

pytestmark = pytest.mark.skipif(not ROWS, reason=ABSENT)


@pytest.mark.parametrize("row", TRADED, ids=[row.name for row in TRADED])
def test_a_replay_gives_what_the_oracle_says(row: Row) -> None:
    assert replayed(row) == row.expected


def test_rows_whose_bracket_does_not_lie_around_the_level_are_few_and_named() -> None:
    left_out = [row.name for row in ROWS if not row.can_be_typed]
    assert len(left_out) + len(TRADED) == len(ROWS)
    assert len(left_out) * 20 < len(ROWS), left_out
