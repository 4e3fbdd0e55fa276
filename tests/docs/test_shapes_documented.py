"""docs/json.md and docs/json.schema.json are what the code says: `python -m tests.docs.write` writes them."""

from __future__ import annotations

import json

from tests.docs import shapes


def test_the_page_lists_every_shape_as_the_code_has_it() -> None:
    text = shapes.PAGE.read_text(encoding="utf-8")
    assert text.count("<!-- written: ") == 4
    assert shapes.page(text, shapes.commands()) == text


def test_the_schema_is_that_of_the_code_and_leaves_nothing_open() -> None:
    text = shapes.SCHEMA.read_text(encoding="utf-8")
    assert shapes.schema(shapes.commands()) == text
    written = json.loads(text)
    objects = [part for part in written["$defs"].values() if part.get("type") == "object"]
    assert len(objects) > 100
    assert [part["title"] for part in objects if part.get("additionalProperties") is not False] == []
    assert [name for name, part in written["$defs"].items() if part == {}] == []
