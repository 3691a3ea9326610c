"""Workbooks (.xlsx): one sheet, dates as dates and numbers as numbers; LINE is the row of the sheet."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl

from restock.adapters.sources.delimited import check_header
from restock.adapters.sources.raw_table import LINE
from restock.adapters.sources.unpacking import MAX_RATIO, RATIO_FREE_BYTES
from restock.adapters.sources.workbook_extent import refuse_extent
from restock.errors import DataError

# Rows above the header, such as a title and the date of the export.
_SEARCHED_ROWS = 50


def read_workbook(path: Path, *, sheet: str | None, file: str, max_unpacked_bytes: int) -> pl.DataFrame:
    """Return a sheet's columns and LINE; rows without any value are left out.

    The header is the first row that has a value. A column whose cells are of several kinds is read as text.

    Args:
        path: where it lies.
        sheet: its name; null for the first one.
        file: name for people.
        max_unpacked_bytes: most bytes that the workbook may unpack to.

    Raises:
        DataError: the file is no workbook, is a decompression bomb, has no such sheet, or the sheet is empty.
    """
    import fastexcel

    _refuse_bomb(path, file=file, max_unpacked_bytes=max_unpacked_bytes)
    try:
        reader = fastexcel.read_excel(path)
        chosen = sheet if sheet is not None else reader.sheet_names[0]
        if chosen not in reader.sheet_names:
            raise DataError(f"{file} has no sheet {chosen!r}. It has {', '.join(reader.sheet_names)}; name one in the "
                            "mapping, sheet: NAME.")  # fmt: skip
        top = reader.load_sheet(
            chosen, header_row=None, skip_rows=0, n_rows=_SEARCHED_ROWS, dtypes="string"
        ).to_polars()
        has_value = top.select(pl.any_horizontal(pl.all().is_not_null())).to_series() if top.width else pl.Series()
        filled = has_value.arg_true().to_list() if top.height else []
        if not filled:
            raise DataError(f"{file}, sheet {chosen}, is empty, expected a header row and rows.")
        header = filled[0]
        names = [name or f"(column {n})" for n, name in enumerate(top.row(header), start=1)]
        names = check_header([str(name) for name in names], file=file)
        frame = reader.load_sheet(
            chosen, header_row=None, skip_rows=header + 1, column_names=names, schema_sample_rows=None
        ).to_polars()
    except fastexcel.FastExcelError as error:
        if "no data" in str(error).lower():
            return pl.DataFrame(schema={LINE: pl.Int64, **dict.fromkeys(names, pl.String)})
        raise DataError(f"{file} can't be read as a workbook: {error}. Save it as .xlsx.") from error
    numbered = frame.with_row_index(LINE).with_columns(pl.col(LINE).cast(pl.Int64) + header + 2)
    return numbered.filter(pl.any_horizontal(pl.exclude(LINE).is_not_null()))


def _refuse_bomb(path: Path, *, file: str, max_unpacked_bytes: int) -> None:
    """Refuse a workbook that unpacks to more than is allowed, before anything of it is parsed.

    Raises:
        DataError: it does, or it is no workbook.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > min(max_unpacked_bytes, max(RATIO_FREE_BYTES, MAX_RATIO * path.stat().st_size)):
                raise DataError(
                    f"{file} unpacks to {unpacked:,} bytes, more than {max_unpacked_bytes:,} or than {MAX_RATIO} times "
                    "its size, as decompression bombs do. Split it, or save the sheet as CSV, if you trust it."
                )
            # The directory may lie; unpacking in a stream up to what it says shows whether it does.
            torn = archive.testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{file} can't be read as a workbook: {error}. Save it as .xlsx.") from error
    if torn is not None:
        raise DataError(f"{file} is damaged at {torn}. Copy or save it again.")
    refuse_extent(path, file=file, max_unpacked_bytes=max_unpacked_bytes)
