"""What every endpoint of the planning service works with: the database, the settings, the time, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Request
from sqlalchemy import Connection, Engine

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.operations.access import Principal
from restock.operations.catalogue.search import CatalogueSearch
from restock.settings import Settings
from serving.planning.etags import version_of
from serving.planning.events import EventBroker


@dataclass(frozen=True, kw_only=True)
class PlanningContext:
    """What the endpoints share.

    Attributes:
        engine: the ledger's database.
        settings: where things run.
        now: the time, UTC.
        search: finds products; it keeps an index in memory.
        broker: hands events to those who listen.
    """

    engine: Engine
    settings: Settings
    now: Callable[[], datetime]
    search: CatalogueSearch = field(default_factory=CatalogueSearch)
    broker: EventBroker

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database and writes nothing."""
        with read_transaction(self.engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that is committed at the end."""
        with write_transaction(self.engine) as connection:
            yield connection


async def get_context(request: Request) -> PlanningContext:
    """Return what the application was built with."""
    context: PlanningContext = request.app.state.context
    return context


async def get_caller(request: Request) -> Principal:
    """Return who asks; the gate in front of the application has let them in."""
    principal: Principal = request.state.principal
    return principal


async def get_expected_version(
    if_match: Annotated[
        str | None,
        Header(
            description="ETag of what is to be changed, as it was read; 412 where it has changed since.",
            examples=['"3"'],
            max_length=100,
        ),
    ] = None,
) -> int | None:
    """Return the version that the caller has seen, from the header If-Match; None where it did not come."""
    return None if if_match is None else version_of(if_match)


Context = Annotated[PlanningContext, Depends(get_context)]
Caller = Annotated[Principal, Depends(get_caller)]
ExpectedVersion = Annotated[int | None, Depends(get_expected_version)]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=128,
        pattern="^[!-~]+$",
        description="Chosen by the client, new for each new write. The same key with the same request returns the same "
        "reply and writes nothing twice.",
        examples=["7f1c2d3e-scan-42"],
    ),
]
