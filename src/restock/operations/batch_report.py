"""Why a batch is refused, in words that say how to mend it, and the report that is kept on it."""

from __future__ import annotations

from typing import Any

from restock.adapters.quality import ExpectationResult
from restock.adapters.sources.raw_table import explain_missing
from restock.operations.examination import ExaminedTable
from restock.operations.format_hints import hint_at_format
from restock.operations.row_judgement import LINE_RULE

_TYPE_RULE = "_type"
_SHOWN_UNITS = 3


def explain_refusal(examined: ExaminedTable, *, max_rejected_share: float) -> list[str]:
    """Return why a table stops its batch, one sentence for each reason; empty where none is.

    Args:
        examined: the table, judged and checked.
        max_rejected_share: share of rejected rows that a batch may have, 0-1.
    """
    reasons = []
    name = examined.table.name
    missing = set(examined.raw.missing_columns)
    if missing:
        reasons.append(f"a required column is missing: {explain_missing(examined.raw)}")
    if examined.units:
        shown = "; ".join(f"{sku}: {', '.join(units)}" for sku, units in list(examined.units.items())[:_SHOWN_UNITS])
        reasons.append(
            f"{name}: {len(examined.units):,} skus are counted in several units of measure ({shown}), and their "
            "amounts can't be added. Convert them to one unit for each sku, or leave the other lines out."
        )
    for broken in examined.check.broken_critical:
        if missing & set(broken.columns):
            continue
        if broken.problem:
            reasons.append(f"{name}: {broken.rule} could not be checked: {broken.problem}")
        else:
            reasons.append(f"{name}: {_explain(broken, examined, max_rejected_share=max_rejected_share)}")
    return reasons


def _explain(broken: ExpectationResult, examined: ExaminedTable, *, max_rejected_share: float) -> str:
    """Return one broken critical expectation in words."""
    by_rule = examined.rejected_by_rule
    if broken.rule == "rejected_share":
        rule = next(iter(by_rule))
        hints = " ".join(hint_at_rules(examined))
        return (
            f"{examined.n_rejected_rows:,} of {examined.n_rows:,} rows ({broken.unexpected_share or 0:.2%}) are "
            f"rejected, more than the {max_rejected_share:.2%} of params.yaml: ingest.max_rejected_share. Most break "
            f"{rule} ({by_rule[rule]:,}): {_examples(examined, rule)[0]}. {hints or 'Mend the source or its mapping.'}"
        )
    examples = _examples(examined, broken.rule)
    first = f": {examples[0]}" if examples else ""
    if broken.rule.endswith("_key_unique"):
        n_repeated = by_rule.get(broken.rule, 0)
        return (
            f"{n_repeated:,} rows repeat a key that must be unique{first}. Remove them, or sum them up."
            f"{_hint_at_location(examined)}"
        )
    return f"{broken.n_unexpected or 0:,} rows have {', '.join(broken.columns)} in the future{first}. Mend the dates."


def _hint_at_location(examined: ExaminedTable) -> str:
    """Return that the location was filled, which repeats keys where the file names it in a column of another name."""
    if "names no location" not in examined.raw.origins.get("location", ""):
        return ""
    others = ", ".join(examined.raw.ignored) or "none"
    return (
        " The file names no location, so all rows were taken as of one; if one of its other columns "
        f"({others}) does, map it: columns: {{location: THEIR_NAME}}."
    )


def hint_at_rules(examined: ExaminedTable) -> list[str]:
    """Return what in the mapping would make rejected values readable, most frequent first; empty where nothing is."""
    hints = []
    for rule in examined.rejected_by_rule:
        if rule == LINE_RULE:
            hints.append(
                "Where a field holds the separator, as 1,5 does in a comma-separated file, put it in quotes, or export "
                "with another separator."
            )
        elif rule.endswith(_TYPE_RULE):
            column = examined.table.column(rule.removesuffix(_TYPE_RULE))
            hint = hint_at_format(column, examined.samples.get(rule, ()), mapping=examined.raw.mapping)
            hints += [f"{column.name}: {hint}"] if hint else []
    return hints


def _examples(examined: ExaminedTable, rule: str) -> list[str]:
    """Return some rows that broke a rule, each with where it stands, what was found and what was expected."""
    return [
        f"{row['file']}, line {row['line']}: {row['column']} is {row['value']!r}, expected {row['reason']}"
        for row in examined.examples.get(rule, [])
    ]


def report_table(examined: ExaminedTable, *, notes: list[str]) -> dict[str, Any]:
    """Return one table's part of a report, ready for JSON.

    Args:
        examined: the table, judged and checked.
        notes: sentences for people.
    """
    return {
        "rows": examined.n_rows,
        "accepted_rows": examined.n_accepted,
        "rejected_rows": examined.n_rejected_rows,
        "rejected_by_rule": {
            rule: {"rows": rows, "examples": _examples(examined, rule)}
            for rule, rows in examined.rejected_by_rule.items()
        },
        "is_success": examined.check.is_success,
        "notes": notes,
        "expectations": [expectation.as_json() for expectation in examined.check.expectations],
    }
