"""The rows that an import refused, as a CSV file to mend and send again: its own columns, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Engine

from restock.adapters.database.engine import read_transaction
from restock.operations.exchange.exporting import write_csv
from restock.operations.exchange.import_log import (
    WHOLE_LINE,
    ImportRecord,
    Rejection,
    iterate_rejections,
    reason_column,
)


def write_refused(
    engine: Engine, record: ImportRecord, rejections: Sequence[Rejection] | None = None
) -> Iterator[bytes]:
    """Yield the refused rows of an import as CSV; a line that fits no column stands in the first.

    Args:
        engine: the ledger's database.
        record: the import.
        rejections: those of a dry run, which are kept nowhere; None: as they are kept.
    """
    header = [*record.columns, reason_column(record)]
    if rejections is not None:
        yield from write_csv(header, _cells(record, rejections))
        return
    with read_transaction(engine) as connection:
        yield from write_csv(header, _cells(record, iterate_rejections(connection, record.import_id)))


def _cells(record: ImportRecord, rejections: Iterable[Rejection]) -> Iterator[list[str]]:
    for each in rejections:
        row = [each.content.get(column, "") for column in record.columns]
        if WHOLE_LINE in each.content:
            row[0] = each.content[WHOLE_LINE]
        yield [*row, f"line {each.line}: {each.reason}"]
