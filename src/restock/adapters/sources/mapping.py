"""How a company's columns and formats map to ours: a small YAML, typed, so that a misspelt key fails by name."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from restock.errors import ConfigurationError
from restock.schema import Table
from restock.tables import SOURCE_TABLES

_LATER_KEYS = ("thousands", "null_values", "sheet")


class SourceMapping(BaseModel):
    """What a source calls things and how it writes them; every key may be left out.

    Example:
        table: sales
        columns: {sku: Article, location: Store, date: Day, units_sold: Qty}
        date_format: "%d.%m.%Y"
        decimal: ","
        separator: ";"
        encoding: cp1252
        constants: {is_promoted: false}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str | None = Field(default=None, description="Which table of the contract the source holds.")
    columns: dict[str, str] = Field(default_factory=dict, description="Our column: their column.")
    date_format: str = Field(default="%Y-%m-%d", description="How dates are written, in strftime's letters.")
    decimal: str = Field(default=".", pattern=r"^[.,]$", description="Decimal mark of numbers.")
    separator: str | None = Field(
        default=None, min_length=1, max_length=1, description="Between fields; default: what splits the header best."
    )
    thousands: str | None = Field(
        default=None, pattern=r"^[.,' \u00a0\u202f]$", description="Between groups of three digits; default: nothing."
    )
    null_values: tuple[str, ...] = Field(default=(), description="Texts that mean there is no value, such as N/A.")
    sheet: str | None = Field(default=None, description="Sheet of a workbook; default: the first.")
    encoding: str = Field(default="utf-8", description="Text encoding of the file; a byte-order mark counts more.")
    constants: dict[str, str | bool | int | float] = Field(
        default_factory=dict, description="Our column: one value for every row, for columns the source lacks."
    )

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            # Codecs that are none of text, such as zlib or rot13, know no characters to encode.
            "".encode(value)
            return codecs.lookup(value).name
        except LookupError as error:
            raise ValueError("is no text encoding known here, such as utf-8, cp1252 or latin-1") from error

    @field_validator("table")
    @classmethod
    def _check_table(cls, value: str | None) -> str | None:
        if value is not None and value not in SOURCE_TABLES:
            raise ValueError(f"expected one of {', '.join(SOURCE_TABLES)}")
        return value

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        both = sorted(self.columns.keys() & self.constants.keys())
        if both:
            raise ValueError(f"{', '.join(both)}: both mapped to a column and given as a constant; keep one")
        if self.separator is not None and self.separator == self.decimal:
            raise ValueError(f"separator and decimal are both {self.decimal!r}; they must differ")
        if self.thousands is not None and self.thousands in (self.decimal, self.separator):
            raise ValueError(
                f"thousands {self.thousands!r} is the decimal mark or the separator as well; they must differ"
            )
        return self

    def require_columns_of(self, table: Table) -> None:
        """Refuse a mapping that names columns which `table` does not have.

        Raises:
            ConfigurationError: it does; the message lists the table's columns.
        """
        unknown = sorted({*self.columns, *self.constants} - set(table.column_names))
        if unknown:
            raise ConfigurationError(
                f"the mapping names {', '.join(unknown)}, which table {table.name} does not have. "
                f"Its columns are {', '.join(table.column_names)}; write ours before the colon and theirs after it."
            )

    def identity(self) -> dict[str, Any]:
        """Return what of the mapping decides how the same bytes are read."""
        values = self.model_dump(mode="json")
        # Left out where not given, so that batches made before there were these keys keep their names.
        return {name: value for name, value in values.items() if name not in _LATER_KEYS or value}


def read_mapping(path: Path) -> SourceMapping:
    """Return the mapping written in a YAML file.

    Raises:
        ConfigurationError: the file is missing or not YAML, or a key is unknown or its value not legal; every fault is
            named.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"mapping {path} is missing. Name an existing YAML file with --mapping.") from error
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigurationError(f"mapping {path} is not readable YAML: {error}") from error
    try:
        return SourceMapping.model_validate(values if values is not None else {})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'mapping'}: {fault['msg']} (got {fault['input']!r:.80})"
            for fault in error.errors()
        )
        known = ", ".join(SourceMapping.model_fields)
        raise ConfigurationError(f"mapping {path} is not valid: {faults}. Known keys: {known}.") from error
