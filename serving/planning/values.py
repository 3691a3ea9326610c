"""The kinds of value that requests and replies of the planning API are made of, each with its bounds."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer


def _require_plain(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must hold no control characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("must be text that UTF-8 can hold") from error
    return text


def _require_lines(text: str) -> str:
    _require_plain(text.replace("\n", " ").replace("\t", " ").replace("\r", " "))
    return text


def _as_text(number: Decimal) -> str:
    return f"{number:f}"


# Names that lead somewhere: a sku, a location, a document.
Code = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_require_plain)]
OptionalCode = Annotated[str, Field(max_length=128), AfterValidator(_require_plain)]
Words = Annotated[str, Field(max_length=2_000), AfterValidator(_require_lines)]
Reason = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"\S"), AfterValidator(_require_lines)]
# Quantities and money travel as decimal text: a JSON number is a float on its way.
Exact = Annotated[
    Decimal,
    Field(max_digits=24, decimal_places=6, allow_inf_nan=False),
    PlainSerializer(_as_text, return_type=str, when_used="json"),
]
# Large enough for whole warehouses, small enough that no sum overflows 64 bits.
_HIGHEST = Decimal(10) ** 12
Amount = Annotated[Exact, Field(ge=-_HIGHEST, le=_HIGHEST)]
PositiveAmount = Annotated[Exact, Field(gt=0, le=_HIGHEST)]
NonNegativeAmount = Annotated[Exact, Field(ge=0, le=_HIGHEST)]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2999, 12, 31))]


def _require_sane(instant: datetime) -> datetime:
    if not 1970 <= instant.year <= 2999:
        raise ValueError("must lie between the years 1970 and 2999")
    return instant


Instant = Annotated[AwareDatetime, AfterValidator(_require_sane)]
# The same names where they come in a path.
PathCode = Annotated[str, Path(min_length=1, max_length=128), AfterValidator(_require_plain)]


class Request(BaseModel):
    """A part of a request: unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reply(BaseModel):
    """A part of a reply."""

    model_config = ConfigDict(frozen=True)
