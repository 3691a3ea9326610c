"""What the fields of the catalogue may hold, and reading a draft so that every fault is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from restock.errors import DataError

DraftModel = TypeVar("DraftModel", bound="CatalogueDraft")
_FIRST_PRINTABLE, _DELETE = 32, 127
_SHOWN = 60


class CatalogueError(DataError):
    """A part of the catalogue can't be as it was asked for."""

    title = "The catalogue can't hold this"


def _require_plain(text: str) -> str:
    if any(ord(character) < _FIRST_PRINTABLE or ord(character) == _DELETE for character in text):
        raise ValueError("must hold no control characters")
    return text


# Text is cut of spaces at its ends: two skus that look the same are the same.
Code = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_require_plain)
]
OptionalCode = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128), AfterValidator(_require_plain)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_require_plain)
]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_require_plain)]
Amount = Annotated[Decimal, Field(ge=0, le=Decimal(10) ** 12, allow_inf_nan=False)]


class CatalogueDraft(BaseModel):
    """What a part of the catalogue is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_draft(model: type[DraftModel], values: Mapping[str, Any]) -> DraftModel:
    """Return a draft from values by field.

    Raises:
        CatalogueError: some are missing, unknown or out of bounds; the message names every one.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or model.__name__}: {fault['msg']} "
            f"(got {str(fault['input'])[:_SHOWN]!r})"
            for fault in error.errors(include_url=False)
        )
        raise CatalogueError(f"{faults}. Correct the named fields.") from error
