"""Versions as ETags: what a reader saw, so that nobody overwrites what they did not see."""

from __future__ import annotations

from fastapi import Response

from restock.errors import DataError


def etag_of(version: int) -> str:
    """Return the ETag of a version.

    Example:
        >>> etag_of(3)
        '"3"'
    """
    return f'"{version}"'


def set_etag(response: Response, version: int) -> None:
    """Say in a reply which version it shows."""
    response.headers["etag"] = etag_of(version)


def version_of(etag: str) -> int:
    """Return the version that an ETag stands for.

    Raises:
        DataError: it is not one of ours.
    """
    digits = etag.strip().removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise DataError(f'If-Match must be the ETag of a reply, such as "3", got {etag[:50]!r}.')
    return int(digits)
