"""Who a token belongs to, from the database: answered from memory, and never later than a change is known.

SQLite tells within microseconds whether anybody committed anything (PRAGMA data_version), so a revoked token is refused
from the next request on. PostgreSQL is asked at most once a second.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, or_, select
from sqlalchemy.exc import DBAPIError

from restock.adapters.database.engine import read_transaction
from restock.adapters.database.identity_tables import ApiTokenRow, UserRow
from restock.errors import AuthenticationError, NotReadyError
from restock.operations.access import Principal
from restock.operations.identity.tokens import TokenRecord, hash_token, record_of

# What is read may be this old where the database does not tell that it changed, seconds.
_SECONDS = 1.0
# A token that is not known may be newer than what was read; so soon after reading it is not, seconds.
_UNKNOWN_SECONDS = 0.05
_UNDEFINED_TABLE = "42P01"
# Tokens are only ever added and revoked, and a user's version rises with each change: these numbers change with any
# change. Somebody who edits the tables by hand is noticed within a second.
_STATE = (
    "SELECT (SELECT count(*) FROM api_tokens), (SELECT count(revoked_at_utc) FROM api_tokens), "
    "(SELECT count(*) FROM users), (SELECT total(version) FROM users)"
)
_HOW = "restock token create --name NAME --role service"


@dataclass(frozen=True, kw_only=True)
class _Snapshot:
    """Tokens by hash as they were read, and when."""

    tokens: Mapping[str, TokenRecord]
    version: int
    state: tuple[object, ...]
    read_at: float


class DatabaseTokens:
    """Verifies tokens against the database.

    Args:
        engine: the database; where it or its tables are missing, every token is refused.
        now: returns the time, UTC.
        clock: returns seconds that only rise.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshot: _Snapshot | None = None
        is_sqlite = engine.dialect.name == "sqlite"
        self._changes = (
            _Changes(Path(engine.url.database or "missing"), on_other_file=engine.dispose) if is_sqlite else None
        )

    def verify(self, token: str) -> Principal:
        """Return who the token belongs to; "" stands for a request without one.

        Raises:
            AuthenticationError: no token exists yet, none came, or this one is unknown, expired or revoked.
            NotReadyError: the database does not answer.
        """
        digest = hash_token(token)
        tokens = self._read(digest)
        if not tokens:
            raise AuthenticationError(f"no token exists yet, so every request is refused. Create one: {_HOW}.")
        if not token:
            raise AuthenticationError(
                f"no token came with the request. Send one as `Authorization: Bearer TOKEN`; make one with {_HOW}."
            )
        # What is looked up and compared is a hash: how long it takes tells nothing of a token that is not known.
        found = tokens.get(digest)
        expires_at = None if found is None else found.expires_at
        if found is None or (expires_at is not None and expires_at <= self._now()):
            raise AuthenticationError(
                "the token is unknown, expired or revoked. Send a valid one as `Authorization: Bearer TOKEN`; make one "
                f"with {_HOW}."
            )
        return Principal(name=found.username or found.name, role=found.role, scopes=found.scopes)

    def close(self) -> None:
        """Let go of the connection that is kept."""
        with self._lock:
            if self._changes is not None:
                self._changes.close()

    def _read(self, digest: str) -> Mapping[str, TokenRecord]:
        with self._lock:
            try:
                version, state = (0, ()) if self._changes is None else self._changes.look(self._snapshot)
                known = self._snapshot
                if known is not None and self._is_fresh(known, version, state, is_known=digest in known.tokens):
                    return known.tokens
                tokens = _read_tokens(self._engine)
            except FileNotFoundError:
                self._snapshot = None
                return {}
            except (DBAPIError, sqlite3.Error) as error:
                self._snapshot = None
                if _is_missing_table(error):
                    return {}
                raise NotReadyError(
                    f"the database of tokens does not answer ({type(error).__name__}); its log says why. Try again."
                ) from error
            self._snapshot = _Snapshot(tokens=tokens, version=version, state=state, read_at=self._clock())
            return tokens

    def _is_fresh(self, known: _Snapshot, version: int, state: tuple[object, ...], *, is_known: bool) -> bool:
        age = self._clock() - known.read_at
        if self._changes is None:
            return age < (_SECONDS if is_known else _UNKNOWN_SECONDS)
        return known.version == version or (known.state == state and age < _SECONDS)


class _Changes:
    """Tells whether a SQLite file changed, over one connection that is kept.

    Args:
        path: the file.
        on_other_file: called where another file lies there than before, as after a restore.
    """

    def __init__(self, path: Path, *, on_other_file: Callable[[], None]) -> None:
        self._path = path
        self._on_other_file = on_other_file
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        # How often the file was another one than before.
        self._n_files = 0

    def look(self, known: _Snapshot | None) -> tuple[int, tuple[object, ...]]:
        """Return the version of the file, and the state of its tokens where the version is not the known one.

        Raises:
            FileNotFoundError: there is no file.
            sqlite3.Error: it can't be read.
        """
        status = self._path.stat()
        identity = (status.st_dev, status.st_ino)
        if self._connection is None or identity != self._identity:
            self.close()
            # Never made by looking, and written by nobody here.
            address = f"file:{quote(str(self._path.absolute()))}?mode=rw"
            self._connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
            self._identity = identity
            self._n_files += 1
            self._on_other_file()
        (changed,) = self._connection.execute("PRAGMA data_version").fetchone()
        version = (self._n_files << 32) + int(changed)
        if known is not None and known.version == version:
            return version, known.state
        return version, tuple(self._connection.execute(_STATE).fetchone())

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read_tokens(engine: Engine) -> dict[str, TokenRecord]:
    """Return what is not revoked and belongs to nobody or to an active user, by hash."""
    statement = (
        select(ApiTokenRow.__table__)
        .outerjoin(UserRow, UserRow.username == ApiTokenRow.username)
        .where(ApiTokenRow.revoked_at_utc.is_(None), or_(ApiTokenRow.username.is_(None), UserRow.is_active))
    )
    with read_transaction(engine) as connection:
        return {row["sha256"]: record_of(row) for row in connection.execute(statement).mappings()}


def _is_missing_table(error: Exception) -> bool:
    cause = getattr(error, "orig", None) or error
    return "no such table" in str(cause) or getattr(cause, "sqlstate", None) == _UNDEFINED_TABLE
