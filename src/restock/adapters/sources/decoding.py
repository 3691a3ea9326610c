"""Text files as blocks of whole lines in UTF-8, whatever their encoding; memory does not grow with the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Protocol

from restock.errors import DataError

# Large enough that a part costs little beside its rows, small enough that a dozen copies fit anywhere.
BLOCK_BYTES = 16 << 20
_READ_BYTES = 1 << 20
# No table has such a line; a binary file does.
_LONGEST_LINE_BYTES = 64 << 20
_SAMPLE_BYTES = 1 << 16
_UTF8 = "utf-8"
_MARKS = {
    codecs.BOM_UTF8: _UTF8,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Families of encodings of text; Python's codecs also unescape, compress and turn letters round.
_TEXT_ENCODINGS = (
    "utf",
    "cp",
    "iso8859",
    "iso2022",
    "mac",
    "koi8",
    "big5",
    "gb",
    "shift",
    "euc",
    "ascii",
    "tis",
    "johab",
)
_BYTE_ORDER_MARK = "\ufeff"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


def read_blocks(stream: _Readable, *, encoding: str, file: str, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield a file's text as UTF-8 without byte-order mark, in blocks that end with a line.

    A byte-order mark says UTF-8, UTF-16 or UTF-32, whatever `encoding` is; else the file is read as `encoding`.

    Args:
        stream: the file's bytes.
        encoding: how it is written where no mark tells.
        file: name for people.
        block_bytes: about how long a block is.

    Raises:
        DataError: bytes are not of the encoding; the message names the line and the encoding that is likely.
    """
    first = stream.read(_READ_BYTES) or b""
    encoding = _marked_encoding(first) or encoding
    decoder = codecs.getincrementaldecoder(encoding)()
    pending: list[bytes] = []
    size, line, chunk, is_first = 0, 1, first, True
    while True:
        text = _decode(decoder, chunk, encoding=encoding, file=file, line=line)
        if is_first and text:
            text, is_first = text.removeprefix(_BYTE_ORDER_MARK), False
        content = text.encode()
        line += content.count(b"\n")
        pending.append(content)
        size += len(content)
        if not chunk:
            break
        end = content.rfind(b"\n") + 1
        if size >= block_bytes and end:
            pending[-1] = content[:end]
            yield _checked(b"".join(pending), file=file)
            pending = [content[end:]]
            size = len(pending[0])
        if size > block_bytes + _LONGEST_LINE_BYTES:
            raise DataError(f"{file}, line {line}: the line has no end within {size:,} bytes. Is it a text file?")
        chunk = stream.read(_READ_BYTES) or b""
    if size:
        yield _checked(b"".join(pending), file=file)


def check_encoding(encoding: str, *, file: str) -> None:
    """Refuse an encoding that is not known, or is none of text.

    Raises:
        DataError: it is not.
    """
    try:
        is_text = codecs.lookup(encoding).name.startswith(_TEXT_ENCODINGS)
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise DataError(
            f"{file}: {encoding[:60]!r} is no text encoding known here, expected one such as utf-8, cp1252 or latin-1."
        )


def _marked_encoding(start: bytes) -> str | None:
    """Return the encoding that a byte-order mark tells, or null."""
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)


def _decode(decoder: codecs.IncrementalDecoder, chunk: bytes, *, encoding: str, file: str, line: int) -> str:
    """Return the text of a chunk; an empty chunk is the end."""
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        content = bytes(error.object)
        bad = line + content[: error.start].count(b"\n")
        start = max(0, error.start - _SAMPLE_BYTES)
        likely = guess_encoding(content[start : error.start + _SAMPLE_BYTES])
        hint = f"it is likely {likely}, " if likely else ""
        raise DataError(
            f"{file}, line {bad}: the bytes {content[error.start : error.end]!r} are not {encoding}; {hint}"
            f"name the file's encoding in the mapping, such as encoding: {likely or 'cp1252'}."
        ) from error


def guess_encoding(sample: bytes) -> str | None:
    """Return the encoding that a sample of text is most likely in, or null where none is likely.

    Example:
        >>> guess_encoding("Käse und Brötchen für Müller, Größe: süß".encode("cp1252"))
        'cp1252'
    """
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None:
        return None
    # Western text is the common case, and its encodings differ in signs that few files hold.
    western = ("cp1252", "latin_1", "cp1250")
    fitting = {best.encoding, *best.could_be_from_charset}
    return next((name for name in western if name in fitting), best.encoding)


def _checked(content: bytes, *, file: str) -> bytes:
    """Return a block; one with NUL characters is no text in the encoding that it was read in."""
    if b"\x00" in content:
        raise DataError(
            f"{file} holds NUL characters: it is binary, or UTF-16 without a byte-order mark. "
            "Save it as UTF-8, or name its encoding in the mapping, such as encoding: utf-16-le."
        )
    return content
