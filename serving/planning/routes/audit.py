"""The audit log, and the company whose ledger it is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from restock.operations.stock.company import read_company
from restock.operations.stock.reading import list_audit
from serving.planning.context import Context
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import Code, Instant, Reply

router = APIRouter(tags=["audit"])


class AuditReply(Reply):
    """Who did what."""

    position: int = Field(description="Its place in the log.")
    at_utc: Instant = Field(description="When.")
    actor: str = Field(description="Who.")
    action: str = Field(description="What, such as post_sale.")
    subject: str = Field(description="To what.")
    details: dict[str, Any] = Field(description="What else is worth knowing.")


class CompanyReply(Reply):
    """Whose ledger it is."""

    currency: str = Field(description="The one currency of all amounts.")
    currency_decimals: int = Field(description="Decimal places of money that are kept.")
    time_zone: str = Field(description="Whose midnight ends a day.")


@router.get("/audit", summary="Who did what.")
def get_audit(
    context: Context,
    pages: Pages,
    actor: Annotated[Code | None, Query(description="Only by this person or program.")] = None,
    subject: Annotated[Code | None, Query(description="Only to this document.")] = None,
    action: Annotated[Code | None, Query(description="Only of this kind.")] = None,
) -> ListReply[AuditReply]:
    """Entries of the audit log, the latest first."""
    with context.reading() as connection:
        after = check_cursor(pages.after, int)
        page = list_audit(connection, actor=actor, subject=subject, action=action, after=after, limit=pages.limit)
    items = [AuditReply(**row) for row in page.rows]
    return ListReply(items=items, next_cursor=encode_cursor(page.after))


@router.get("/company", summary="Whose ledger it is.")
def get_company(context: Context) -> CompanyReply:
    """Currency and day of the company."""
    with context.reading() as connection:
        company = read_company(connection)
    return CompanyReply(
        currency=company.currency, currency_decimals=company.currency_decimals, time_zone=company.time_zone
    )
