from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.analytics.classes import abc_classes, demand_shape, xyz_class


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1e6), min_size=1, max_size=30))
def test_abc_classes_fall_with_the_value(values):
    classes = abc_classes(values, a_share=0.8, b_share=0.95)
    ordered = [classes[sku] for sku, _ in sorted(values.items(), key=lambda item: (-item[1], item[0]))]
    assert ordered == sorted(ordered)
    assert set(classes) == set(values)


def test_xyz_class_without_demand_is_the_last():
    assert xyz_class([0, 0, 0], x_cv=0.5, y_cv=1.0) == "Z"


@pytest.mark.parametrize(
    ("units", "shape"),
    [
        ([5, 6, 5, 4, 5], "smooth"),
        ([1, 30, 2, 1, 40], "erratic"),
        ([0, 5, 0, 0, 5, 0], "intermittent"),
        ([0, 1, 0, 0, 40, 0], "lumpy"),
        ([0, 0], "none"),
    ],
)
def test_demand_shape_is_by_interval_and_size(units, shape):
    assert demand_shape(units).shape == shape
