"""Passwords: what is asked of one, how one is kept (argon2id), and how one is checked."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from restock.errors import DataError

SHORTEST_PASSWORD = 12
# Long enough for any sentence, short enough that nobody keeps the service busy with it.
LONGEST_PASSWORD = 1_000
_RANDOM_BYTES = 15
# argon2-cffi's recommended parameters (RFC 9106, low memory): 64 MiB each, so only some are computed at once.
_HASHER = PasswordHasher()
_TURNS = threading.BoundedSemaphore(4)


@dataclass(frozen=True, kw_only=True)
class PasswordCheck:
    """What a check of a password found.

    Attributes:
        is_right: whether it is the password.
        new_hash: what to keep instead, where it was kept with other parameters than today's; None where all is well.
    """

    is_right: bool
    new_hash: str | None = None


def require_good_password(password: str, *, username: str) -> None:
    """Return where a password may be used.

    Raises:
        DataError: it is too short, too long, or hardly more than the user's name.
    """
    text = _normalised(password)
    if not SHORTEST_PASSWORD <= len(text) <= LONGEST_PASSWORD:
        raise DataError(
            f"the password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, got {len(text)}. Some "
            "words that don't belong together are long and easy to remember."
        )
    name = username.casefold()
    if text.casefold() in (name, name[::-1]) or not text.casefold().replace(name, ""):
        raise DataError("the password must not be the username.")
    if len(set(text)) < 4:
        raise DataError("the password must have at least 4 different characters.")


def hash_password(password: str) -> str:
    """Return what is kept of a password; takes about a tenth of a second, on purpose."""
    with _TURNS:
        return _HASHER.hash(_normalised(password))


def check_password(password: str, kept: str | None) -> PasswordCheck:
    """Return whether a password is the one that is kept; takes as long where none is.

    Args:
        password: as it was typed.
        kept: what `hash_password` returned; None for a user that is unknown or has no password.
    """
    text = _normalised(password[: LONGEST_PASSWORD + 1])
    try:
        with _TURNS:
            _HASHER.verify(kept or _nobodys_hash(), text)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return PasswordCheck(is_right=False)
    if kept is None or len(password) > LONGEST_PASSWORD:
        return PasswordCheck(is_right=False)
    return PasswordCheck(is_right=True, new_hash=hash_password(password) if _HASHER.check_needs_rehash(kept) else None)


def make_password() -> str:
    """Return a random password of 120 bits that can be typed."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


@cache
def _nobodys_hash() -> str:
    """Return a hash of a password that nobody has, to be checked for users that are not there."""
    return _HASHER.hash(secrets.token_urlsafe(_RANDOM_BYTES))


def _normalised(password: str) -> str:
    """Return a password as every keyboard and system would send it."""
    text = unicodedata.normalize("NFC", password)
    return text.encode("utf-8", "replace").decode("utf-8")
