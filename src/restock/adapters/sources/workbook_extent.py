"""How large a workbook is once it is read: a few kilobytes can name two cells so far apart that a reader runs dry.

The reader keeps a sheet as a full rectangle from its first to its last cell, and a text as often as cells show it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from restock.errors import DataError

# A sheet of a million rows has 20 columns; more is a mistake, or meant to exhaust memory.
MAX_CELLS = 20_000_000
# What the reader keeps for a cell, whatever it holds.
_CELL_BYTES = 32
_READ_BYTES = 1 << 16
_SHARED_STRINGS = "xl/sharedstrings.xml"
_SHEETS = "xl/worksheets/"
_LETTERS = 26


@dataclass
class _Extent:
    """The rectangle that a sheet's cells span, and how much text they show."""

    last_row: int = 0
    last_column: int = 0
    shown: list[int] = field(default_factory=list)

    @property
    def n_cells(self) -> int:
        """Cells of the full rectangle."""
        return self.last_row * self.last_column


def refuse_extent(path: Path, *, file: str, max_unpacked_bytes: int) -> None:
    """Refuse a workbook whose sheets would not fit into memory once they are read.

    Args:
        path: a workbook whose parts unpack to an allowed size.
        file: name for people.
        max_unpacked_bytes: most bytes of text that the cells may show, and that they may take up.

    Raises:
        DataError: a sheet spans too many cells, shows too much text, or is no XML.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.lower(): name for name in archive.namelist()}
            lengths = _read_lengths(archive, names[_SHARED_STRINGS]) if _SHARED_STRINGS in names else []
            for lower, name in names.items():
                if lower.startswith(_SHEETS) and lower.endswith(".xml"):
                    _check(_measure(archive, name), lengths, file=f"{file} ({name})", most=max_unpacked_bytes)
    except expat.ExpatError as error:
        raise DataError(f"{file} can't be read as a workbook: {error}. Save it as .xlsx.") from error


def _check(extent: _Extent, lengths: list[int], *, file: str, most: int) -> None:
    most_cells = min(MAX_CELLS, most // _CELL_BYTES)
    if extent.n_cells > most_cells:
        raise DataError(
            f"{file} spans {extent.last_row:,} rows by {extent.last_column:,} columns, more than {most_cells:,} cells. "
            "Delete the stray cells far from the table, or save the sheet as CSV."
        )
    shown = sum(lengths[index] for index in extent.shown if index < len(lengths))
    if shown > most:
        raise DataError(f"{file} shows {shown:,} bytes of text, more than {most:,}. Split it.")


def _parse(archive: zipfile.ZipFile, name: str, parser: expat.XMLParserType) -> None:
    with archive.open(name) as stream:
        while content := stream.read(_READ_BYTES):
            parser.Parse(content)
        parser.Parse(b"", True)  # noqa: FBT003  (the name of the argument differs between versions)


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _read_lengths(archive: zipfile.ZipFile, name: str) -> list[int]:
    """Return the length of every shared text, characters."""
    lengths: list[int] = []

    def start(tag: str, _: dict[str, str]) -> None:
        if _local(tag) == "si":
            lengths.append(0)

    def text(content: str) -> None:
        if lengths:
            lengths[-1] += len(content)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.CharacterDataHandler = start, text
    _parse(archive, name, parser)
    return lengths


def _measure(archive: zipfile.ZipFile, name: str) -> _Extent:
    """Return what a sheet's cells span; a cell or row that says no place follows the one before."""
    extent = _Extent()
    place = {"row": 0, "column": 0}
    reading: dict[str, bool] = {"is_shared": False, "is_value": False}
    digits: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        match _local(tag):
            case "row":
                place["row"] = _number(attributes.get("r"), otherwise=place["row"] + 1)
                place["column"] = 0
            case "c":
                row, column = _split(attributes.get("r", ""))
                place["row"], place["column"] = row or place["row"], column or place["column"] + 1
                extent.last_row = max(extent.last_row, place["row"])
                extent.last_column = max(extent.last_column, place["column"])
                reading["is_shared"] = attributes.get("t") == "s"
            case "v":
                reading["is_value"] = reading["is_shared"]
                digits.clear()

    def text(content: str) -> None:
        if reading["is_value"]:
            digits.append(content)

    def end(tag: str) -> None:
        if _local(tag) == "v" and reading["is_value"]:
            reading["is_value"] = False
            index = _number("".join(digits), otherwise=-1)
            if index >= 0:
                extent.shown.append(index)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    _parse(archive, name, parser)
    return extent


def _number(text: str | None, *, otherwise: int) -> int:
    return int(text) if text is not None and text.strip().isdecimal() else otherwise


def _split(reference: str) -> tuple[int, int]:
    """Return row and column of a reference such as AB12, from 1; 0 where it says none."""
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z":
            return 0, 0
        column = column * _LETTERS + ord(letter) - ord("A") + 1
    return _number(reference[len(letters) :], otherwise=0), column
