"""Signatures of webhooks: secrets that are derived from the installation's key, and what a receiver checks them by."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from restock.adapters.storage import sync_directory
from restock.errors import ConfigurationError

SIGNATURE_HEADER = "Restock-Signature"
# A mark that secret scanners can look for.
_SECRET_PREFIX = "rws_"  # noqa: S105
_KEY_BYTES = 32
_FILE_MODE = 0o600
_OTHERS_MODE = 0o077


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """The installation's key.

    Attributes:
        content: 32 random bytes.
    """

    content: bytes = field(repr=False)

    def secret_of(self, webhook: str, *, version: int) -> str:
        """Return the secret of a webhook: the same whenever it is asked for, and kept nowhere.

        Args:
            webhook: its identifier.
            version: rises with each rotation.
        """
        digest = hmac.new(self.content, f"webhook:{webhook}:{version}".encode(), hashlib.sha256)
        return _SECRET_PREFIX + digest.hexdigest()


def signing_key_file(home: Path) -> Path:
    """Return where an installation keeps its key."""
    return home / "secrets" / "signing.key"


def read_signing_key(path: Path) -> SigningKey:
    """Return the installation's key, made on first use; of two processes that make it at once, both get the same.

    Raises:
        ConfigurationError: others may read the file, or it is not a key.
    """
    if not path.exists():
        _make_key(path)
    mode = path.stat().st_mode
    if mode & _OTHERS_MODE:
        raise ConfigurationError(
            f"the signing key {path} may be read or written by others (mode {mode & 0o777:03o}, expected 600). Mend "
            f"it: chmod 600 {path}; and rotate the webhooks' secrets if somebody may have read it."
        )
    try:
        content = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise ConfigurationError(_not_a_key(path)) from error
    if len(content) != _KEY_BYTES:
        raise ConfigurationError(_not_a_key(path))
    return SigningKey(content=content)


def sign(body: bytes, *, secrets_in_force: Sequence[str], at: datetime) -> str:
    """Return the signature header of a body.

    Args:
        body: as it is sent.
        secrets_in_force: the webhook's secret, and the one before it for a while after a rotation.
        at: when it is sent, UTC; signed too, so that a receiver can refuse what is old.

    Example:
        >>> from datetime import UTC
        >>> sign(b"{}", secrets_in_force=["rws_00"], at=datetime(2024, 1, 1, tzinfo=UTC))[:16]
        't=1704067200,v1='
    """
    instant = int(at.timestamp())
    signed = f"{instant}.".encode() + body
    digests = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in secrets_in_force]
    return ",".join([f"t={instant}", *(f"v1={digest}" for digest in digests)])


def _make_key(path: Path) -> None:
    """Write a new key beside its place and link it there, which fails where another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_FILE_MODE)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def _not_a_key(path: Path) -> str:
    return (
        f"{path} is not a signing key of {_KEY_BYTES} bytes in hexadecimal. Restore it from a backup; without one move "
        "it away, and a new one is made, after which every webhook has a new secret."
    )
