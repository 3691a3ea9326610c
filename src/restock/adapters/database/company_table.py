"""The company whose ledger it is: its currency and its day; one row."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code


class CompanyRow(Base):
    """What amounts and days mean here. The decimals are fixed once money has been booked."""

    __tablename__ = "company"
    __table_args__ = (
        CheckConstraint("singleton = 1", name="one_row"),
        CheckConstraint("currency_decimals BETWEEN 0 AND 6", name="decimals"),
    )

    singleton: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    currency: Mapped[Code]
    # Decimal places of an amount of money that are kept; 2 for cents.
    currency_decimals: Mapped[int]
    # Whose midnight ends a day of sales, such as Europe/Berlin.
    time_zone: Mapped[Code]
