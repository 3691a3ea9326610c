"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7), which this Python does not make yet."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID

_MILLISECOND = 1000
_RANDOM_BITS = 74


def new_identifier(now: datetime) -> str:
    """Return a new identifier, unique without asking anybody.

    Args:
        now: the time it will sort by, to the millisecond; UTC.

    Example:
        >>> from datetime import UTC
        >>> new_identifier(datetime(2024, 1, 1, tzinfo=UTC))[:15]
        '018cc251-f400-7'
    """
    milliseconds = int(now.timestamp() * _MILLISECOND) & ((1 << 48) - 1)
    drawn = secrets.randbits(_RANDOM_BITS)
    high, low = drawn >> 62, drawn & ((1 << 62) - 1)
    return str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low))
