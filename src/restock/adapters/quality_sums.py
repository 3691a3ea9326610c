"""A table that was checked part by part: the results of its parts added up to the result of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from restock.adapters.key_ledger import RepeatedKeys
from restock.adapters.quality import MAX_EXAMPLES, ExpectationResult, SuiteResult


def add_up_results(parts: Sequence[SuiteResult], *, repeats: RepeatedKeys, n_newly_rejected: int = 0) -> SuiteResult:
    """Return the result of a whole table from those of its parts.

    Counts are summed, and whether enough rows keep an expectation is judged again on the sums. That no key comes twice
    can't be told from the parts; the keys that several parts have are added.

    Args:
        parts: at least one, all of the same table and suite.
        repeats: the keys that several parts have.
        n_newly_rejected: how many rows are rejected for such a key alone.

    Raises:
        ValueError: the parts were checked against different suites.
    """
    if len(parts) == 1:
        return parts[0]
    # By name, not by place: an expectation that could not be checked is listed first.
    named = [{(each.rule, each.expectation, each.columns): each for each in part.expectations} for part in parts]
    if any(part.keys() != named[0].keys() for part in named):
        raise ValueError("the parts of a table must be checked against the same suite")
    added = [_add_up([part[name] for part in named]) for name in named[0]]
    more = {
        f"{parts[0].table.name}_key_unique": (repeats.n_alone, repeats.examples),
        # Each of these rows broke one rule, which is the value that breaks this expectation.
        "rejected_share": (n_newly_rejected, ("1",) * min(n_newly_rejected, MAX_EXAMPLES)),
    }
    added = [_with_more(item, *more[item.rule]) if item.rule in more else item for item in added]
    return SuiteResult(table=parts[0].table, n_rows=sum(part.n_rows for part in parts), expectations=tuple(added))


def _add_up(results: Sequence[ExpectationResult]) -> ExpectationResult:
    """Return one expectation's result over all parts."""
    problem = "; ".join(dict.fromkeys(result.problem for result in results if result.problem))
    counted = [result for result in results if result.n_unexpected is not None and result.n_considered is not None]
    whole = replace(results[0], problem=problem, is_met=all(result.is_met for result in results))
    if not counted:
        return whole
    examples = [example for result in results for example in result.examples]
    return _judged(
        whole,
        n_unexpected=sum(result.n_unexpected or 0 for result in counted),
        n_considered=sum(result.n_considered or 0 for result in counted),
        examples=tuple(examples[:MAX_EXAMPLES]),
    )


def _with_more(result: ExpectationResult, n_more: int, examples: tuple[str, ...]) -> ExpectationResult:
    """Return a result with rows that break it and that no part could tell."""
    if not n_more:
        return result
    return _judged(
        result,
        n_unexpected=(result.n_unexpected or 0) + n_more,
        n_considered=result.n_considered or 0,
        examples=(*result.examples, *examples)[:MAX_EXAMPLES],
    )


def _judged(
    result: ExpectationResult, *, n_unexpected: int, n_considered: int, examples: tuple[str, ...]
) -> ExpectationResult:
    """Return a result with other counts, judged as Great Expectations judges them."""
    kept = 1.0 if not n_considered else (n_considered - n_unexpected) / n_considered
    return replace(
        result,
        n_unexpected=n_unexpected,
        n_considered=n_considered,
        unexpected_share=None if not n_considered else round(n_unexpected / n_considered, 6),
        examples=examples,
        is_met=not result.problem and kept >= result.mostly,
    )
