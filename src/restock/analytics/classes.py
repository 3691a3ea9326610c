"""Classes of products: by what they bring (ABC), by how evenly they sell (XYZ), by how their demand comes; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

# Syntetos and Boylan's cut-offs.
_ADI_CUT = 1.32
_CV2_CUT = 0.49


def abc_classes(values: Mapping[str, float], *, a_share: float, b_share: float) -> dict[str, str]:
    """Return the class of each product by its share of the whole value, the largest first.

    A product is A where those before it have less than `a_share` of the whole, so that the largest is always A.

    Args:
        values: what each product brings, such as its revenue; at least 0.
        a_share: share of the whole that the A products make, 0-1.
        b_share: share that A and B make together, 0-1.

    Source:
        Dickie (1951), ABC inventory analysis shoots for dollars, not pennies.

    Example:
        >>> abc_classes({"x": 80.0, "y": 15.0, "z": 5.0}, a_share=0.8, b_share=0.95)
        {'x': 'A', 'y': 'B', 'z': 'C'}
    """
    whole = sum(values.values())
    before, classes = 0.0, {}
    for sku, value in sorted(values.items(), key=lambda item: (-item[1], item[0])):
        share = before / whole if whole > 0 else 1.0
        classes[sku] = "A" if share < a_share - 1e-12 else "B" if share < b_share - 1e-12 else "C"
        before += value
    return classes


def xyz_class(units: Sequence[float], *, x_cv: float, y_cv: float) -> str:
    """Return the class of a product by the coefficient of variation of its demand in equal periods.

    Args:
        units: demand by period, units; periods without demand are 0.
        x_cv: up to it, demand is even (X).
        y_cv: up to it, demand varies (Y); beyond, it is erratic (Z).

    Example:
        >>> xyz_class([10, 10, 11, 9], x_cv=0.5, y_cv=1.0)
        'X'
    """
    mean = fmean(units) if units else 0.0
    if mean <= 0:
        return "Z"
    variation = pstdev(units) / mean
    return "X" if variation <= x_cv else "Y" if variation <= y_cv else "Z"


@dataclass(frozen=True, kw_only=True)
class DemandShape:
    """How the demand of a series comes.

    Attributes:
        mean_units: per period.
        deviation_units: standard deviation per period.
        variation: standard deviation / mean of all periods; None without demand.
        interval_periods: mean periods between periods with demand (ADI); None without demand.
        size_variation: squared coefficient of variation of the periods with demand (CV2); None without demand.
        shape: smooth, erratic, intermittent, lumpy, or none.
    """

    mean_units: float
    deviation_units: float
    variation: float | None
    interval_periods: float | None
    size_variation: float | None
    shape: str


def demand_shape(units: Sequence[float]) -> DemandShape:
    """Return how demand comes: how often, and how evenly.

    Args:
        units: demand by period, units; periods without demand are 0.

    Source:
        Syntetos, Boylan, Croston (2005), On the categorization of demand patterns: ADI 1.32, CV2 0.49.

    Example:
        >>> demand_shape([0, 0, 6, 0, 0, 6]).shape
        'intermittent'
    """
    mean = fmean(units) if units else 0.0
    deviation = pstdev(units) if units else 0.0
    sizes = [size for size in units if size > 0]
    if not sizes:
        return DemandShape(
            mean_units=mean,
            deviation_units=deviation,
            variation=None,
            interval_periods=None,
            size_variation=None,
            shape="none",
        )
    interval = len(units) / len(sizes)
    size_variation = (pstdev(sizes) / fmean(sizes)) ** 2
    names = (("smooth", "erratic"), ("intermittent", "lumpy"))
    return DemandShape(
        mean_units=mean,
        deviation_units=deviation,
        variation=deviation / mean,
        interval_periods=interval,
        size_variation=size_variation,
        shape=names[interval >= _ADI_CUT][size_variation >= _CV2_CUT],
    )
