"""What people and Great Expectations read of the contract: the suites and the data dictionary, from `tables`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restock.adapters.storage import write_text
from restock.errors import ConfigurationError
from restock.schema import Column, ColumnType, Table
from restock.tables import SOURCE_TABLES, TABLES

EXPECTATIONS_FOLDER = "expectations"
DATA_DICTIONARY = "docs/data-dictionary.md"

# Added to the frame that is checked: how many row rules the row broke.
BROKEN_RULES = "broken_rules"
# What a suite leaves open until it runs.
MOSTLY = {"$PARAMETER": "mostly"}
TODAY = {"$PARAMETER": "today"}
END_OF_TODAY = {"$PARAMETER": "end_of_today_utc"}

Suite = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Document:
    """A committed file that is rendered: its text, and what it follows from."""

    content: str
    source: str


def render_suite(table: Table) -> Suite:
    """Return the Great Expectations suite of a table, as JSON without ids and version.

    Critical expectations decide on the whole batch; the others may be broken by the share of rows that `mostly` allows
    and are warnings, because the rows themselves are rejected one by one.
    """
    expectations: list[dict[str, Any]] = []
    for column in table.columns:
        expectations += _column_expectations(column, table=table)
    for order in table.orders:
        expectations.append(
            _expectation(
                "expect_column_pair_values_a_to_be_greater_than_b",
                f"{order.later}_not_before_{order.earlier}",
                column_A=order.later,
                column_B=order.earlier,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                mostly=MOSTLY,
            )
        )
    expectations.append(_unique_key(table))
    if table.name in SOURCE_TABLES:
        expectations.append(
            _expectation(
                "expect_column_values_to_be_in_set",
                "rejected_share",
                severity="critical",
                column=BROKEN_RULES,
                value_set=[0],
                mostly=MOSTLY,
            )
        )
    return {"expectations": expectations, "meta": {"description": table.description}, "name": table.name}


def _expectation(expectation: str, rule: str, *, severity: str = "warning", **kwargs: Any) -> dict[str, Any]:
    """Return one expectation; `rule` is the name of the row rule that judges the same of a single row."""
    return {"kwargs": kwargs, "meta": {"rule": rule}, "severity": severity, "type": expectation}


def _unique_key(table: Table) -> dict[str, Any]:
    """Return the expectation that no two rows have the same key."""
    rule = f"{table.name}_key_unique"
    if len(table.key) == 1:
        return _expectation("expect_column_values_to_be_unique", rule, severity="critical", column=table.key[0])
    return _expectation(
        "expect_compound_columns_to_be_unique",
        rule,
        severity="critical",
        column_list=list(table.key),
        ignore_row_if="any_value_is_missing",
    )


def _column_expectations(column: Column, *, table: Table) -> list[dict[str, Any]]:
    """Return the expectations that follow from one column's declaration."""
    name = column.name
    found: list[dict[str, Any]] = []
    if not column.is_optional or name in table.key:
        found.append(_expectation("expect_column_to_exist", f"{name}_exists", severity="critical", column=name))
    if not column.is_nullable:
        found.append(_expectation("expect_column_values_to_not_be_null", f"{name}_present", column=name, mostly=MOSTLY))
    between = "expect_column_values_to_be_between"
    if column.minimum is not None:
        found.append(_expectation(between, f"{name}_at_least", column=name, min_value=column.minimum, mostly=MOSTLY))
    if column.maximum is not None:
        found.append(_expectation(between, f"{name}_at_most", column=name, max_value=column.maximum, mostly=MOSTLY))
    if column.choices:
        choices = list(column.choices)
        found.append(
            _expectation(
                "expect_column_values_to_be_in_set", f"{name}_known", column=name, value_set=choices, mostly=MOSTLY
            )
        )
    if column.is_past_only:
        limit = END_OF_TODAY if column.type is ColumnType.TIMESTAMP_UTC else TODAY
        found.append(_expectation(between, f"{name}_not_in_future", severity="critical", column=name, max_value=limit))
    return found


def render_data_dictionary(tables: Mapping[str, Table]) -> str:
    """Return the data dictionary as Markdown."""
    lines = [
        "# Data dictionary",
        "",
        "Rendered from `src/restock/tables` by `restock contract render`; change it there.",
        "",
        "A column that is *required* must be in every source; an *optional* one may be left out and is then filled as",
        "stated. Keys are bold. Dates are plain dates, instants are UTC. Money is in the company's one currency.",
        "",
        "| table | a row is identified by | carries |",
        "|---|---|---|",
        *(
            f"| [{table.name}](#{table.name}) | {', '.join(table.key)} | {table.description} |"
            for table in tables.values()
        ),
        "",
    ]
    for table in tables.values():
        lines += [f"## {table.name}", "", table.description, ""]
        lines += ["| column | type | unit | source | allowed | meaning |", "|---|---|---|---|---|---|"]
        lines += [_dictionary_row(column, table=table) for column in table.columns]
        if table.orders:
            lines += ["", *(f"`{order.later}` is not before `{order.earlier}`." for order in table.orders)]
        lines.append("")
    return "\n".join(lines)


def _dictionary_row(column: Column, *, table: Table) -> str:
    name = f"**{column.name}**" if column.name in table.key else column.name
    filled = "null" if column.default is None else json.dumps(column.default)
    source = f"optional, else {filled}" if column.is_optional else "required"
    cells = (name, column.type.value, column.unit, source, _allowed_values(column), column.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _allowed_values(column: Column) -> str:
    """Return what values the column may hold, in words."""
    parts = []
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum:g} to {column.maximum:g}")
    elif column.minimum is not None:
        parts.append(f">= {column.minimum:g}")
    elif column.maximum is not None:
        parts.append(f"<= {column.maximum:g}")
    if column.choices:
        parts.append(", ".join(column.choices))
    if column.is_past_only:
        parts.append("not in the future")
    if column.is_nullable:
        parts.append("null")
    return "; ".join(parts)


def render_contract(tables: Mapping[str, Table] | None = None) -> dict[str, Document]:
    """Return every document that follows from the tables, by its path relative to the checkout."""
    tables = TABLES if tables is None else tables
    contents = {
        f"{EXPECTATIONS_FOLDER}/{table.name}.json": json.dumps(render_suite(table), indent=2, sort_keys=True) + "\n"
        for table in tables.values()
    }
    contents[DATA_DICTIONARY] = render_data_dictionary(tables)
    return {name: Document(content=content, source="src/restock/tables") for name, content in contents.items()}


def find_drift(root: Path, documents: Mapping[str, Document] | None = None) -> list[str]:
    """Return what of the committed documents differs from its source, one sentence each; empty where nothing does.

    Args:
        root: the checkout.
        documents: what is rendered, by path; default: what follows from the tables.
    """
    expected = render_contract() if documents is None else documents
    drift = []
    for name, document in expected.items():
        path = root / name
        if not path.is_file():
            drift.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != document.content:
            drift.append(f"{name} differs from {document.source}")
    return drift + [f"{name} belongs to no table" for name in _surplus_suites(root)]


def write_documents(root: Path, documents: Mapping[str, Document] | None = None) -> list[str]:
    """Write the documents that differ, remove suites without a table, and return the paths that changed.

    Args:
        root: the checkout.
        documents: what is rendered, by path; default: what follows from the tables.
    """
    expected = render_contract() if documents is None else documents
    changed = []
    for name, document in expected.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != document.content:
            write_text(path, document.content)
            changed.append(name)
    for name in _surplus_suites(root):
        (root / name).unlink()
        changed.append(name)
    return changed


def _surplus_suites(root: Path) -> list[str]:
    """Return the suites that belong to no table."""
    known = {f"{table.name}.json" for table in TABLES.values()}
    found = sorted((root / EXPECTATIONS_FOLDER).glob("*.json"))
    return [f"{EXPECTATIONS_FOLDER}/{path.name}" for path in found if path.name not in known]


def read_suite(table: Table, *, root: Path) -> Suite:
    """Return the committed suite of a table.

    Raises:
        ConfigurationError: the suite is missing, is not JSON or differs from the contract, so that the batch would be
            checked against something else than the row rules.
    """
    path = root / EXPECTATIONS_FOLDER / f"{table.name}.json"
    try:
        suite = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is missing. Render it: restock contract render.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}. Render it: restock contract render.") from error
    if suite != json.loads(json.dumps(render_suite(table))):
        raise ConfigurationError(
            f"{path} differs from table {table.name} in src/restock/tables. Render it: restock contract render."
        )
    return dict(suite)
