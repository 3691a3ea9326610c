"""Reconciliation against dense algebra and the properties that are published of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.forecasting import reconcile as module
from restock.forecasting.reconcile import (
    build_hierarchy,
    equal_covariance,
    project,
    reconcile,
    shrinkage_share,
    shrunken_covariance,
    structural_covariance,
    variance_covariance,
)

N_ERRORS = 30
KINDS = ("ols", "wls_struct", "wls_var", "mint")


def hierarchy_of(n=24):
    return build_hierarchy(
        pl.DataFrame(
            {
                "sku": [f"s{i // 4}" for i in range(n)],
                "location": [f"l{i % 4}" for i in range(n)],
                "region": [f"r{i % 2}" for i in range(n)],
                "category": [f"c{i // 12}" for i in range(n)],
            }
        )
    )


HIERARCHY = hierarchy_of()
SUMMING = np.vstack([HIERARCHY.sums.toarray(), np.eye(HIERARCHY.n_series)])


def errors_of(seed, n_nodes=None):
    n_nodes = n_nodes or len(SUMMING)
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(1, N_ERRORS))
    return (rng.normal(size=(n_nodes, N_ERRORS)) + common) * rng.uniform(0.3, 4, (n_nodes, 1))


def covariance_of(kind, seed=0):
    return {
        "ols": lambda: equal_covariance(HIERARCHY),
        "wls_struct": lambda: structural_covariance(HIERARCHY),
        "wls_var": lambda: variance_covariance(errors_of(seed)),
        "mint": lambda: shrunken_covariance(errors_of(seed)),
    }[kind]()


def dense_covariance(kind, seed=0):
    """Return the whole covariance by the books' formulas, node by node."""
    errors = errors_of(seed)
    if kind == "ols":
        return np.eye(len(SUMMING))
    if kind == "wls_struct":
        return np.diag(SUMMING.sum(axis=1))
    sample = errors @ errors.T / N_ERRORS
    share = {"wls_var": 1.0, "mint": slow_shrinkage(errors)}[kind]
    return share * np.diag(np.diag(sample)) + (1 - share) * sample


def slow_shrinkage(errors):
    """Return Schaefer and Strimmer's shrinkage pair by pair."""
    scaled = errors / np.sqrt((errors**2).mean(axis=1))[:, None]
    variance = square = 0.0
    for i in range(len(errors)):
        for j in range(len(errors)):
            if i != j:
                products = scaled[i] * scaled[j]
                variance += products.var(ddof=1) / N_ERRORS
                square += products.mean() ** 2
    return min(1.0, max(0.0, variance / square))


def test_build_hierarchy_adds_up_by_each_level():
    assert HIERARCHY.n_aggregates == 1 + 2 + 4 + 2 + 8 + 6
    assert list(dict.fromkeys(HIERARCHY.levels)) == [
        "all",
        "region",
        "location",
        "category",
        "location x category",
        "sku",
    ]
    units = np.arange(24.0)
    nodes = HIERARCHY.add_up(units)
    assert nodes[0] == units.sum()
    place = HIERARCHY.names.index("l1 x c1")
    assert nodes[place] == sum(i for i in range(12, 24) if i % 4 == 1)
    np.testing.assert_array_equal(nodes[HIERARCHY.n_aggregates :], units)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most_dense", [5_000, 0], ids=["cholesky", "conjugate gradients"])
def test_project_agrees_with_dense_algebra(monkeypatch, kind, most_dense):
    monkeypatch.setattr(module, "_MOST_DENSE_AGGREGATES", most_dense)
    base = np.random.default_rng(1).normal(5, 3, size=(len(SUMMING), 3))
    inverse = np.linalg.inv(dense_covariance(kind))
    # (S' W^-1 S)^-1 S' W^-1: Wickramasuriya et al. (2019), eq. 9.
    expected = np.linalg.solve(SUMMING.T @ inverse @ SUMMING, SUMMING.T @ inverse @ base)
    np.testing.assert_allclose(project(base, HIERARCHY, covariance=covariance_of(kind)), expected, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_project_is_unbiased_and_leaves_what_adds_up(kind):
    # S G S = S: Hyndman et al. (2011); so forecasts that add up stay as they are.
    found = project(SUMMING, HIERARCHY, covariance=covariance_of(kind))
    np.testing.assert_allclose(found, np.eye(HIERARCHY.n_series), atol=1e-9)


def test_project_with_equal_variances_is_least_squares():
    base = np.random.default_rng(2).normal(size=len(SUMMING))
    expected = np.linalg.lstsq(SUMMING, base, rcond=None)[0]
    np.testing.assert_allclose(project(base, HIERARCHY, covariance=equal_covariance(HIERARCHY)), expected, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS))
def test_reconcile_is_never_below_zero_and_adds_up(seed, kind):
    base = np.random.default_rng(seed).normal(1, 3, size=(len(SUMMING), 2))
    series = reconcile(base, HIERARCHY, covariance=covariance_of(kind, seed))
    assert (series >= 0).all()
    np.testing.assert_allclose(HIERARCHY.add_up(series)[:1], series.sum(axis=0, keepdims=True), rtol=1e-9)


def test_mint_has_less_error_than_bottom_up_and_least_squares_where_its_covariance_is_true():
    rng = np.random.default_rng(4)
    spread = np.where(np.arange(len(SUMMING)) < HIERARCHY.n_aggregates, 1.0, 6.0)
    truth = SUMMING @ rng.uniform(20, 40, (HIERARCHY.n_series, 400))
    base = truth + rng.normal(size=truth.shape) * spread[:, None]
    covariance = variance_covariance(rng.normal(size=(len(SUMMING), 500)) * spread[:, None])
    ours, alike = (
        SUMMING @ project(base, HIERARCHY, covariance=one) - truth for one in (covariance, equal_covariance(HIERARCHY))
    )
    bottom_up = SUMMING @ base[HIERARCHY.n_aggregates :] - truth
    assert (ours**2).sum() < (alike**2).sum() < (bottom_up**2).sum()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_nodes=st.integers(2, 12))
def test_shrinkage_share_agrees_with_the_sums_over_pairs(seed, n_nodes):
    errors = errors_of(seed, n_nodes)
    assert shrinkage_share(errors) == pytest.approx(slow_shrinkage(errors), abs=1e-9)


def test_shrunken_covariance_of_nodes_that_never_erred_can_be_solved():
    errors = errors_of(5)
    errors[[0, -1]] = 0
    base = np.random.default_rng(1).normal(5, 3, size=(len(SUMMING), 1))
    found = project(base, HIERARCHY, covariance=shrunken_covariance(errors))
    assert found[-1] == pytest.approx(base[-1], abs=1e-3)
    assert found.sum() == pytest.approx(base[0], abs=1e-2)


def test_shrunken_covariance_of_one_error_is_refused():
    with pytest.raises(ValueError, match="needs two errors a node or more, got 1"):
        shrunken_covariance(np.ones((len(SUMMING), 1)))


def test_project_of_other_nodes_is_refused():
    with pytest.raises(ValueError, match=f"must have {len(SUMMING)} nodes, got 3"):
        project(np.ones(3), HIERARCHY, covariance=equal_covariance(HIERARCHY))
