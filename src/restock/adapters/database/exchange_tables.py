"""Files that were imported: how far each has come, and the rows that were refused, with the reason."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Instant, Json, Words


class ImportRow(Base):
    """A file. The same one under the same reading is one import, however often it comes."""

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'done')", name="state"),
        Index(None, "created_at_utc"),
    )

    import_id: Mapped[Code] = mapped_column(primary_key=True)
    kind: Mapped[Code]
    layout: Mapped[Code]
    filename: Mapped[Words]
    # Of the file's bytes.
    sha256: Mapped[Code]
    # Of the file and of how it is read: kind, layout, encoding, decimal mark.
    identity_sha256: Mapped[Code] = mapped_column(unique=True)
    state: Mapped[Code]
    # The file's own columns in their order, under "columns", and those that nothing reads, under "ignored".
    header: Mapped[Json]
    # 1, and 1 more each time the refused rows are tried again.
    attempt: Mapped[int]
    # Records of the file that are through: where an import that broke off goes on.
    n_done: Mapped[int]
    n_rows: Mapped[int]
    n_written: Mapped[int]
    n_unchanged: Mapped[int]
    n_skipped: Mapped[int]
    n_rejected: Mapped[int]
    created_at_utc: Mapped[Instant]
    created_by: Mapped[Code]
    changed_at_utc: Mapped[Instant]


class ImportRejectionRow(Base):
    """A row of a file that was refused."""

    __tablename__ = "import_rejections"

    import_id: Mapped[Code] = mapped_column(ForeignKey("imports.import_id"), primary_key=True)
    # Line of a text file, row of a sheet or of a parquet file.
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[Words]
    # The file's own columns as they were read.
    content: Mapped[Json]
    # At which attempt it was refused last.
    attempt: Mapped[int]
