"""Files elsewhere (s3://, https://, ...): fetched in a stream into the workspace, then read like any file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from restock.errors import ConfigurationError, DataError

_CHUNK_BYTES = 4 << 20
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "https", "http", "file")
# Between chained addresses; not the colons of an IPv6 host.
_CHAIN = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+")


def is_remote(source: str) -> bool:
    """Return whether a source is a URL and not a path."""
    return "://" in source


def shown_url(url: str) -> str:
    """Return a URL without what may be secret: user, password and query.

    Example:
        >>> shown_url("https://me:pw@host.example:8443/a/sales.csv?signature=x")
        'https://host.example:8443/a/sales.csv'
    """
    first, *chained = _CHAIN.split(url, maxsplit=1)
    parts = urlsplit(first)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'::...' if chained else ''}"


def fetch_remote(url: str, *, folder: Path, max_bytes: int) -> Path:
    """Return the path of a fetched copy, which has the remote file's name.

    Endpoint and credentials of object stores come from their usual environment variables, such as AWS_*.

    Args:
        url: where the file lies.
        folder: existing; the copy is made there.
        max_bytes: largest file that is fetched.

    Raises:
        ConfigurationError: nothing installed here reads such URLs.
        DataError: the file can't be fetched or is too large.
    """
    import fsspec

    shown = shown_url(url)
    # Chained URLs hide a second one with its credentials in their path.
    if urlsplit(url).scheme not in _SCHEMES or _CHAIN.search(url):
        expected = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise ConfigurationError(f"{shown} can't be fetched: it is not an address of a file, expected {expected}.")
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not name:
        raise DataError(f"{shown} names no file. Give the URL of a file, such as s3://bucket/sales.csv.")
    target = folder / name
    try:
        with fsspec.open(url, "rb") as source, target.open("wb") as copy:
            _copy(source, copy, shown=shown, max_bytes=max_bytes)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{shown} can't be fetched: {_without_secrets(error)}.") from None
    except FileNotFoundError:
        raise DataError(f"{shown} is not there, or these credentials may not see it. Check the address.") from None
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001  (every store raises its own; this is the edge to them)
        raise DataError(
            f"{shown} can't be fetched: {type(error).__name__}: {_without_secrets(error)}. Check the address and the "
            "credentials."
        ) from None
    return target


def _without_secrets(error: Exception) -> str:
    """Return an error's words with every URL in them shown without its secrets: stores write them their own way."""
    return _URL.sub(lambda match: shown_url(match[0]), str(error))


def _copy(source: Any, copy: Any, *, shown: str, max_bytes: int) -> None:
    """Copy in a stream, no more than `max_bytes`."""
    copied = 0
    while chunk := source.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > max_bytes:
            raise DataError(
                f"{shown} is larger than {max_bytes:,} bytes, the most that is fetched. "
                "Split it, or raise RESTOCK_MAX_UNPACKED_BYTES if you trust it."
            )
        copy.write(chunk)
