"""A source judged part by part: what its tables hold, which rows are rejected, and what its parts add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.batch_stage import BatchStage
from restock.adapters.contract_documents import BROKEN_RULES
from restock.adapters.key_ledger import KeyLedger, RepeatedKeys
from restock.adapters.quality import SuiteChecker, SuiteResult, log_result
from restock.adapters.quality_sums import add_up_results
from restock.adapters.sources.raw_table import RawTable, no_broken_lines, require_same_columns
from restock.operations.row_judgement import JudgedTable, judge_rows, reject_repeats
from restock.schema import Table

_EXAMPLES_PER_RULE = 3
_SHOWN_ROWS = 5
# Rejected rows are text beside their values, several times as large: fewer at a time than a part has.
_REPEATED_ROWS = 100_000
# Enough to tell which format rejected values have.
_SAMPLED_VALUES = 500

Parts = Callable[[], Iterator[RawTable]]


@dataclass(frozen=True, kw_only=True)
class ExaminedTable:
    """One table of a source, judged and checked.

    Attributes:
        table: which table.
        raw: its columns as they came, with a row at most.
        check: the table as a whole, checked.
        n_rows: rows of the source, broken lines included.
        n_accepted: rows that broke no rule; none where a required column is missing.
        n_rejected_rows: rows that broke a rule.
        rejected_by_rule: how many rows broke each rule, most first.
        examples: by rule, the first rows of table REJECTED.
        samples: by rule, some of the values that broke it.
        first_accepted: the first accepted rows.
        first_rejected: the first rows of table REJECTED.
        units: by sku that is counted in several units, these.
    """

    table: Table
    raw: RawTable
    check: SuiteResult
    n_rows: int
    n_accepted: int
    n_rejected_rows: int
    rejected_by_rule: dict[str, int]
    examples: dict[str, list[dict[str, Any]]]
    samples: dict[str, tuple[str, ...]]
    first_accepted: pl.DataFrame
    first_rejected: pl.DataFrame
    units: dict[str, tuple[str, ...]]


@dataclass(kw_only=True)
class _Tally:
    """What the parts of one table came to so far."""

    raw: RawTable
    ledger: KeyLedger
    checks: list[SuiteResult] = field(default_factory=list)
    n_rows: int = 0
    n_accepted: int = 0
    n_rejected_rows: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    samples: dict[str, dict[str, None]] = field(default_factory=dict)
    first_accepted: list[pl.DataFrame] = field(default_factory=list)
    first_rejected: pl.DataFrame | None = None
    units: pl.DataFrame | None = None

    def add(self, raw: RawTable, judged: JudgedTable, *, check: SuiteResult) -> None:
        """Count a part."""
        self.checks.append(check)
        self.n_rows += judged.parsed.height
        self.n_accepted += judged.accepted.height
        self.n_rejected_rows += judged.n_rejected_rows
        if sum(frame.height for frame in self.first_accepted) < _SHOWN_ROWS:
            self.first_accepted.append(judged.accepted.head(_SHOWN_ROWS))
        if raw.units is not None:
            self.units = raw.units if self.units is None else pl.concat([self.units, raw.units]).unique()
        self.count_rejected(judged.rejected)

    def count_rejected(self, rejected: pl.DataFrame) -> None:
        """Count rows of table REJECTED, and keep the first ones."""
        if not rejected.height:
            return
        self.by_rule.update(dict(rejected.group_by("rule").len().iter_rows()))
        for rule in rejected["rule"].unique():
            found = rejected.filter(pl.col("rule") == rule)
            kept = [*self.examples.get(rule, []), *found.head(_EXAMPLES_PER_RULE).iter_rows(named=True)]
            self.examples[rule] = sorted(kept, key=lambda row: (row["file"], row["line"]))[:_EXAMPLES_PER_RULE]
            sample = self.samples.setdefault(rule, {})
            if len(sample) < _SAMPLED_VALUES:
                values = found["value"].drop_nulls().unique(maintain_order=True)
                sample.update(dict.fromkeys(values.head(_SAMPLED_VALUES - len(sample)).to_list()))
        first = [rejected.head(_SHOWN_ROWS)] if self.first_rejected is None else [self.first_rejected, rejected]
        self.first_rejected = pl.concat(first).sort("file", "line", "rule", maintain_order=True).head(_SHOWN_ROWS)


def examine_parts(
    read_parts: Parts,
    *,
    checker: SuiteChecker,
    today: date,
    folder: Path,
    stage: BatchStage | None,
    on_part: Callable[[RawTable], None],
) -> tuple[ExaminedTable, ...]:
    """Return what the tables of a source hold; only one part is in memory at a time.

    Args:
        read_parts: begins to read the source; called again where a key comes in several parts, and must then read the
            same.
        checker: the suites.
        today: the last date a past-only column may hold.
        folder: empty, for keys on their way; nothing in it is needed afterwards.
        stage: takes accepted and rejected rows; null where they are only looked at.
        on_part: called with every part that is done.

    Raises:
        DataError: a part has other columns than those before it, or can't be read.
    """
    tallies: dict[str, _Tally] = {}
    for raw in read_parts():
        table = raw.table
        checker.require_suite(table)
        if table.name not in tallies:
            head = replace(raw, frame=raw.frame.head(1), broken_lines=no_broken_lines())
            tallies[table.name] = _Tally(raw=head, ledger=KeyLedger(table, folder / table.name))
        tally = tallies[table.name]
        require_same_columns(tally.raw, raw)
        judged = judge_rows(raw, today=today)
        tally.ledger.add(judged.parsed)
        tally.add(raw, judged, check=checker.check(judged.parsed, table))
        if stage is not None:
            stage.append(table, accepted=judged.accepted, rejected=judged.rejected)
        on_part(raw)
    repeats = {name: tally.ledger.find_repeats() for name, tally in tallies.items()}
    newly = _reject_repeats(read_parts, tallies, repeats, today=today, stage=stage)
    return tuple(_finish(tally, repeats[name], n_newly_rejected=newly[name]) for name, tally in tallies.items())


def _reject_repeats(
    read_parts: Parts,
    tallies: dict[str, _Tally],
    repeats: dict[str, RepeatedKeys],
    *,
    today: date,
    stage: BatchStage | None,
) -> Counter[str]:
    """Reject the rows whose key an earlier part has, and return how many of them broke no other rule, by table.

    The source is read again for their values. The accepted rows on disk still hold them: a repeated key refuses the
    batch, and they are never used.
    """
    newly: Counter[str] = Counter()
    if not any(found.parts for found in repeats.values()):
        return newly
    numbers: Counter[str] = Counter()
    for raw in read_parts():
        name = raw.table.name
        numbers[name] += 1
        rows = repeats[name].rows_of(numbers[name])
        for start in range(0, rows.size, _REPEATED_ROWS):
            frame = raw.frame[rows[start : start + _REPEATED_ROWS]]
            repeated = replace(raw, frame=frame, broken_lines=no_broken_lines())
            newly[name] += int((judge_rows(repeated, today=today).parsed[BROKEN_RULES] == 0).sum())
            rejected = reject_repeats(repeated)
            tallies[name].count_rejected(rejected)
            if stage is not None:
                stage.append(raw.table, accepted=raw.table.empty(), rejected=rejected)
    return newly


def _finish(tally: _Tally, repeats: RepeatedKeys, *, n_newly_rejected: int) -> ExaminedTable:
    """Return what the parts of a table came to."""
    check = add_up_results(tally.checks, repeats=repeats, n_newly_rejected=n_newly_rejected)
    log_result(check)
    empty = tally.raw.table.empty()
    return ExaminedTable(
        table=tally.raw.table,
        raw=tally.raw,
        check=check,
        n_rows=tally.n_rows,
        n_accepted=tally.n_accepted - (n_newly_rejected if tally.n_accepted else 0),
        n_rejected_rows=tally.n_rejected_rows + n_newly_rejected,
        rejected_by_rule=dict(sorted(tally.by_rule.items(), key=lambda item: (-item[1], item[0]))),
        examples=tally.examples,
        samples={rule: tuple(values) for rule, values in tally.samples.items()},
        first_accepted=pl.concat([empty, *tally.first_accepted]).head(_SHOWN_ROWS),
        first_rejected=tally.first_rejected if tally.first_rejected is not None else pl.DataFrame(),
        units=_units_by_sku(tally.units),
    )


def _units_by_sku(units: pl.DataFrame | None) -> dict[str, tuple[str, ...]]:
    """Return the skus that are counted in several units, with these."""
    if units is None:
        return {}
    found = units.group_by("sku").agg(pl.col("unit").unique().sort()).filter(pl.col("unit").list.len() > 1).sort("sku")
    return {sku: tuple(names) for sku, names in found.iter_rows()}
