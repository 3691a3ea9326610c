"""Why a batch is refused, in words that say how to mend it, and the report that is kept on it."""

from __future__ import annotations

from typing import Any

import polars as pl

from restock.adapters.quality import ExpectationResult, SuiteResult
from restock.adapters.sources.raw_table import RawTable, explain_missing
from restock.operations.row_judgement import JudgedTable

_EXAMPLES_PER_RULE = 3


def explain_refusal(raw: RawTable, judged: JudgedTable, *, result: SuiteResult, max_rejected_share: float) -> list[str]:
    """Return why a table stops its batch, one sentence for each broken critical expectation; empty where none is.

    Args:
        raw: the table as it came.
        judged: its rows, judged.
        result: the table as a whole, checked.
        max_rejected_share: share of rejected rows that a batch may have, 0-1.
    """
    reasons = []
    missing = set(raw.missing_columns)
    if missing:
        reasons.append(f"a required column is missing: {explain_missing(raw)}")
    for broken in result.broken_critical:
        if missing & set(broken.columns):
            continue
        if broken.problem:
            reasons.append(f"{raw.table.name}: {broken.rule} could not be checked: {broken.problem}")
        else:
            reasons.append(f"{raw.table.name}: {_explain(broken, judged, max_rejected_share=max_rejected_share)}")
    return reasons


def _explain(broken: ExpectationResult, judged: JudgedTable, *, max_rejected_share: float) -> str:
    """Return one broken critical expectation in words."""
    if broken.rule == "rejected_share":
        by_rule = judged.rejected_by_rule
        rule = next(iter(by_rule))
        return (
            f"{judged.n_rejected_rows:,} of {judged.parsed.height:,} rows ({broken.unexpected_share or 0:.2%}) are "
            f"rejected, more than the {max_rejected_share:.2%} of params.yaml: ingest.max_rejected_share. Most break "
            f"{rule} ({by_rule[rule]:,}): {_examples(judged, rule)[0]}. Mend the source or its mapping."
        )
    examples = _examples(judged, broken.rule)
    first = f": {examples[0]}" if examples else ""
    if broken.rule.endswith("_key_unique"):
        n_repeated = judged.rejected_by_rule.get(broken.rule, 0)
        return f"{n_repeated:,} rows repeat a key that must be unique{first}. Remove them, or sum them up."
    return f"{broken.n_unexpected or 0:,} rows have {', '.join(broken.columns)} in the future{first}. Mend the dates."


def _examples(judged: JudgedTable, rule: str) -> list[str]:
    """Return some rows that broke a rule, each with where it stands, what was found and what was expected."""
    found = judged.rejected.filter(pl.col("rule") == rule).head(_EXAMPLES_PER_RULE)
    return [
        f"{row['file']}, line {row['line']}: {row['column']} is {row['value']!r}, expected {row['reason']}"
        for row in found.iter_rows(named=True)
    ]


def report_table(result: SuiteResult, judged: JudgedTable, *, notes: list[str]) -> dict[str, Any]:
    """Return one table's part of a report, ready for JSON.

    Args:
        result: the table as a whole, checked.
        judged: its rows, judged.
        notes: sentences for people.
    """
    return {
        "rows": judged.parsed.height,
        "accepted_rows": judged.accepted.height,
        "rejected_rows": judged.n_rejected_rows,
        "rejected_by_rule": {
            rule: {"rows": rows, "examples": _examples(judged, rule)} for rule, rows in judged.rejected_by_rule.items()
        },
        "is_success": result.is_success,
        "notes": notes,
        "expectations": [expectation.as_json() for expectation in result.expectations],
    }
