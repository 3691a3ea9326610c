"""Bytes of a text file as a stream, gzip and zip unpacked on the way, and archives that grow without bounds refused."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from restock.errors import DataError

# What RESTOCK_MAX_UNPACKED_BYTES is where it is not set: 8 GiB.
MAX_UNPACKED_BYTES = 8 << 30
# Text shrinks tenfold, a bomb a thousandfold; a small file may be all zeros.
MAX_RATIO = 200
RATIO_FREE_BYTES = 10_000_000
_ARCHIVE_SUFFIXES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".zst", ".xlsx")
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
# First bytes of what is sometimes saved under a text file's name.
_SIGNATURES = {b"PK\x03\x04": "a zip archive or a workbook", b"\x1f\x8b": "a gzip file", b"PAR1": "a parquet file"}
_ENCRYPTED_FLAG = 0x1


@dataclass
class UnpackBudget:
    """How much more may be unpacked; shared by all files of one request.

    Attributes:
        limit_bytes: most bytes all files together may unpack to.
        used_bytes: what they came to so far.
    """

    limit_bytes: int = MAX_UNPACKED_BYTES
    used_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """One text file, alone or inside a zip archive.

    Attributes:
        path: the file on disk.
        file: its name for people, with the member's name after a slash.
        member: which member of the archive; null where the file is none.
        packed_bytes: its size as it lies there.
    """

    path: Path
    file: str
    member: str | None
    packed_bytes: int


def list_text_files(path: Path, *, file: str) -> list[TextFile]:
    """Return the text files at a path: the file itself, or the members of a zip archive, sorted by name.

    Raises:
        DataError: the archive is broken, encrypted or empty, or has a member that is an archive or no text file.
    """
    if path.suffix.lower() != ".zip":
        return [TextFile(path=path, file=file, member=None, packed_bytes=path.stat().st_size)]
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not _is_clutter(info)]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} can't be read as a zip archive: {error}.") from error
    for info in members:
        suffix = PurePosixPath(info.filename).suffix.lower()
        if suffix in _ARCHIVE_SUFFIXES:
            raise DataError(
                f"{file} holds the archive {info.filename}; archives within archives are refused. Unpack it first."
            )
        if suffix not in _TEXT_SUFFIXES:
            raise DataError(
                f"{file} holds {info.filename}, expected only {', '.join(_TEXT_SUFFIXES)}. Take the other files out."
            )
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise DataError(f"{file} is encrypted at {info.filename}. Unpack it with its password first.")
    if not members:
        raise DataError(f"{file} is empty, expected a zip archive with one text file or several of the same layout.")
    return [
        TextFile(path=path, file=f"{file}/{info.filename}", member=info.filename, packed_bytes=info.compress_size)
        for info in sorted(members, key=lambda info: info.filename)
    ]


def _is_clutter(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is a folder or what an operating system leaves beside the files."""
    path = PurePosixPath(info.filename)
    return info.is_dir() or path.name.startswith(".") or "__MACOSX" in path.parts


class UnpackedStream(io.RawIOBase):
    """The unpacked bytes of a text file; reading more than the budget or the ratio allows raises `DataError`."""

    def __init__(self, source: BinaryIO, packed: BinaryIO, text_file: TextFile, budget: UnpackBudget) -> None:
        self._source, self._packed, self._text_file, self._budget = source, packed, text_file, budget
        self._is_packed = text_file.member is not None or source is not packed
        self._unpacked_bytes = 0

    @property
    def position(self) -> int:
        """How far in the file on disk, in bytes."""
        return self._packed.tell()

    def readable(self) -> bool:
        """Return that this stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` with the next bytes and return how many.

        Raises:
            DataError: the file is torn, or unpacks to more than is allowed.
        """
        file = self._text_file.file
        try:
            content = self._source.read(len(buffer))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"{file} can't be read: {error}. Copy or download it again.") from error
        buffer[: len(content)] = content
        self._unpacked_bytes += len(content)
        if self._is_packed:
            self._budget.used_bytes += len(content)
            self._check()
        return len(content)

    def _check(self) -> None:
        """Refuse a file that grows beyond what is allowed."""
        file, limit = self._text_file.file, self._budget.limit_bytes
        if self._budget.used_bytes > limit:
            raise DataError(
                f"{file} unpacks to more than {limit:,} bytes, the most that is unpacked from one source. "
                "Split it, or raise RESTOCK_MAX_UNPACKED_BYTES if you trust it."
            )
        allowed = max(RATIO_FREE_BYTES, MAX_RATIO * self._text_file.packed_bytes)
        if self._unpacked_bytes > allowed:
            raise DataError(
                f"{file} unpacks to more than {MAX_RATIO} times its {self._text_file.packed_bytes:,} bytes, as "
                "decompression bombs do and tables don't. Unpack it yourself if you trust it."
            )


@contextmanager
def open_text_file(text_file: TextFile, *, budget: UnpackBudget) -> Iterator[UnpackedStream]:
    """Yield a text file's bytes, unpacked in a stream; nothing is written anywhere.

    Raises:
        DataError: the file can't be opened, or is something else than its name says.
    """
    path, file = text_file.path, text_file.file
    try:
        packed = path.open("rb")
    except OSError as error:
        raise DataError(f"{file} can't be read: {error}.") from error
    with packed:
        if text_file.member is not None:
            with zipfile.ZipFile(packed) as archive, _open_member(archive, text_file) as source:
                yield UnpackedStream(source, packed, text_file, budget)  # type: ignore[arg-type]
        elif path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=packed) as source:
                yield UnpackedStream(source, packed, text_file, budget)  # type: ignore[arg-type]
        else:
            _require_text(packed, file=file)
            yield UnpackedStream(packed, packed, text_file, budget)


def _open_member(archive: zipfile.ZipFile, text_file: TextFile) -> IO[bytes]:
    try:
        return archive.open(str(text_file.member))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{text_file.file} can't be read: {error}. Unpack the archive first.") from error


def _require_text(packed: BinaryIO, *, file: str) -> None:
    """Refuse a file whose first bytes say that it is no text."""
    start = packed.read(4)
    packed.seek(0)
    for signature, what in _SIGNATURES.items():
        if start.startswith(signature):
            raise DataError(f"{file} is {what}, not text. Give it the ending that says so, such as .zip, .gz or .xlsx.")
