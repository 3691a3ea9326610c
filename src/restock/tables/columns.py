"""The columns and types that several tables share, each declared once."""

from __future__ import annotations

from restock.schema import Column, ColumnType

TEXT, INTEGER, NUMBER = ColumnType.TEXT, ColumnType.INTEGER, ColumnType.NUMBER
BOOLEAN, DATE, TIMESTAMP = ColumnType.BOOLEAN, ColumnType.DATE, ColumnType.TIMESTAMP_UTC

SKU = Column(name="sku", type=TEXT, description="Stock-keeping unit: the article as it is planned and counted.")
LOCATION = Column(name="location", type=TEXT, description="Where stock is held or sold: a store, a warehouse.")
SUPPLIER = Column(name="supplier", type=TEXT, description="Who delivers.")
CUTOFF = Column(name="cutoff", type=DATE, description="Last period whose data the forecast may use.")
MODEL_VERSION = Column(
    name="model_version", type=TEXT, description="Which model made it, as family or model_version_N."
)
QUANTILE = Column(
    name="quantile", type=NUMBER, description="Probability level.", unit="share 0-1", minimum=0, maximum=1
)


def demand_columns(unit: str, *, mean: str) -> tuple[Column, Column]:
    """Return the two columns that hold a distribution of demand at one quantile: the demand and its mean.

    Args:
        unit: what both are counted in, such as "units per period".
        mean: what the mean is, as a sentence.
    """
    return (
        Column(
            name="demand_units",
            type=NUMBER,
            description="Demand that is not exceeded with this probability.",
            unit=unit,
            minimum=0,
        ),
        Column(name="mean_demand_units", type=NUMBER, description=mean, unit=unit, minimum=0),
    )
