"""How often somebody may fail to sign in: after some failures each further one doubles the wait, and none lasts.

An attempt is counted before the password is looked at, so that many at once get no further than one after another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from restock.adapters.database.identity_tables import LoginFailureRow
from restock.adapters.database.table_locks import lock_table
from restock.errors import RestockError

FREE_FAILURES = 5
_FIRST_WAIT = timedelta(seconds=1)
# Somebody else's failures may keep a user out no longer than this at a time: nobody is locked out for ever.
_LONGEST_WAIT_USER = timedelta(minutes=1)
_LONGEST_WAIT_ADDRESS = timedelta(minutes=15)
# Failures that are older count no more.
_MEMORY = timedelta(hours=1)
_IPV6_NETWORK_BITS = 64


class TooManyAttemptsError(RestockError):
    """Somebody failed to sign in too often.

    Args:
        seconds: after which they may try again.
    """

    http_status = 429
    title = "Too many failed attempts to sign in"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"signing in failed too often. Try again in {seconds} s.")
        self.seconds = seconds

    def members(self) -> dict[str, object]:
        """Return how long to wait."""
        return {"retry_after_seconds": self.seconds}


def attempt_keys(username: str | None, address: str) -> tuple[str, ...]:
    """Return under which names an attempt is counted.

    Args:
        username: as it would be kept; None where it can't be anybody's.
        address: where the request came from; an IPv6 host has a whole network to come from.

    Example:
        >>> attempt_keys("anna", "2001:db8:1:2:3:4:5:6")
        ('user:anna', 'address:2001:db8:1:2::/64')
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        place = "unknown"
    else:
        if isinstance(ip, ipaddress.IPv6Address):
            network = ipaddress.ip_network((ip, _IPV6_NETWORK_BITS), strict=False)
            place = str(ip.ipv4_mapped or network)
        else:
            place = str(ip)
    return (f"user:{username or '?'}", f"address:{place}")


def begin_attempt(connection: Connection, keys: Iterable[str], *, now: datetime) -> None:
    """Count an attempt as failed, until it is known that it was not.

    Args:
        connection: in a write transaction of its own, committed before the password is looked at.
        keys: from `attempt_keys`.
        now: the time, UTC.

    Raises:
        TooManyAttemptsError: it is too early for another one; it is not counted.
    """
    lock_table(connection, LoginFailureRow)
    connection.execute(delete(LoginFailureRow).where(LoginFailureRow.last_failed_at_utc < now - _MEMORY))
    counts: dict[str, int] = {}
    for key in sorted(keys):
        row = connection.execute(select(LoginFailureRow.__table__).where(LoginFailureRow.who == key)).one_or_none()
        if row is not None and row.blocked_until_utc is not None and row.blocked_until_utc > now:
            raise TooManyAttemptsError(_whole_seconds(row.blocked_until_utc - now))
        counts[key] = 0 if row is None else int(row.n_failures)
    for key, count in counts.items():
        values = {
            "n_failures": count + 1,
            "last_failed_at_utc": now,
            "blocked_until_utc": _blocked(key, count + 1, now),
        }
        if count:
            connection.execute(update(LoginFailureRow).where(LoginFailureRow.who == key).values(**values))
        else:
            connection.execute(delete(LoginFailureRow).where(LoginFailureRow.who == key))
            connection.execute(insert(LoginFailureRow), {"who": key, **values})


def forgive_attempt(connection: Connection, keys: Iterable[str]) -> None:
    """Note that an attempt succeeded: the user's failures are forgotten, an address is one attempt better off.

    An address keeps its other failures: whoever has one password must not get endless guesses at others.

    Args:
        connection: in a write transaction.
        keys: from `attempt_keys`.
    """
    lock_table(connection, LoginFailureRow)
    for key in keys:
        row = connection.execute(select(LoginFailureRow.__table__).where(LoginFailureRow.who == key)).one_or_none()
        if row is None:
            continue
        count = 0 if key.startswith("user:") else int(row.n_failures) - 1
        mine = LoginFailureRow.who == key
        if count <= 0:
            connection.execute(delete(LoginFailureRow).where(mine))
        else:
            blocked = _blocked(key, count, row.last_failed_at_utc)
            connection.execute(update(LoginFailureRow).where(mine).values(n_failures=count, blocked_until_utc=blocked))


def _blocked(key: str, n_failures: int, at: datetime) -> datetime | None:
    """Return until when nobody may try again; None where they may at once."""
    if n_failures < FREE_FAILURES:
        return None
    longest = _LONGEST_WAIT_USER if key.startswith("user:") else _LONGEST_WAIT_ADDRESS
    doublings = min(n_failures - FREE_FAILURES, 30)
    wait: timedelta = min(_FIRST_WAIT * (1 << doublings), longest)
    return at + wait


def _whole_seconds(wait: timedelta) -> int:
    return max(-(-wait // timedelta(seconds=1)), 1)
