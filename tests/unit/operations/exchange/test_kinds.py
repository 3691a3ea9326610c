from __future__ import annotations

from pathlib import Path

import pytest

from restock.operations.exchange.export_rows import ExportFilter, filter_conditions
from restock.operations.exchange.importing import WRITERS
from restock.operations.exchange.kinds import KINDS, ExchangeKind

PAGE = Path(__file__).resolve().parents[4] / "docs" / "guide" / "exchange.md"


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_kinds_are_described_in_the_guide_column_by_column(kind):
    section = PAGE.read_text(encoding="utf-8").split(f"### {kind.kind}\n")[1].split("\n### ")[0]
    for column in kind.columns:
        row = next(line for line in section.splitlines() if line.startswith(f"| `{column.name}` |"))
        assert column.description in row
        assert all(f"`{alias}`" in row for alias in column.aliases)


def test_kinds_that_are_recognised_are_written_and_all_are_exported():
    assert set(WRITERS) == {kind for kind, each in KINDS.items() if each.can_be_imported}
    assert set(KINDS) == set(ExchangeKind)
    for kind in ExchangeKind:
        assert filter_conditions(kind, ExportFilter()) == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_kinds_name_each_column_once(kind):
    names = [name for column in kind.columns for name in (column.name, *column.aliases)]
    assert len(set(kind.column_names)) == len(kind.columns)
    assert set(kind.signature) <= set(kind.column_names)
    # Two columns that could be read from the same one of a file would depend on their order.
    twice = {name for name in names if names.count(name) > 1}
    assert twice <= set()
