"""A chain of hashes over the audit log: an entry that was changed, removed or put between shows; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

# What the first entry follows.
GENESIS = "0" * 64


def hash_entry(previous: str, content: Mapping[str, Any]) -> str:
    """Return the hash of an entry that follows another.

    Args:
        previous: hash of the entry before; GENESIS for the first.
        content: the entry without its hashes, ready for JSON.

    Example:
        >>> hash_entry(GENESIS, {"action": "post"})[:12]
        'a2ae7399cd50'
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def find_break(entries: Iterable[tuple[Mapping[str, Any], str]], *, previous: str = GENESIS) -> int | None:
    """Return the position of the first entry whose hash is not what its content and the one before give; None if none.

    Args:
        entries: content and recorded hash, in order.
        previous: hash before the first of them.
    """
    for position, (content, recorded) in enumerate(entries):
        if hash_entry(previous, content) != recorded:
            return position
        previous = recorded
    return None
