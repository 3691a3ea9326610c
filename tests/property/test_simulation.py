"""Invariants of the demo company's parts, whatever the sizes."""

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.params import SimulationParams
from restock.simulation.catalogue import create_catalogue, end_in_nine
from restock.simulation.chain import create_chain
from restock.simulation.company import found_company
from restock.simulation.movements import Reference
from restock.simulation.ordering import share_out
from restock.simulation.shopping import serve_customers
from restock.simulation.streams import Stream, random_stream
from restock.simulation.suppliers import draw_deliveries, sign_suppliers
from restock.simulation.trading import trade

SIZES = st.integers(5, 60)
SEEDS = st.integers(0, 2**31)


@settings(max_examples=40, deadline=None)
@given(n_skus=SIZES, n_stores=st.integers(1, 6), seed=SEEDS, mean=st.floats(0, 8))
def test_serve_customers_units_are_conserved(n_skus, n_stores, seed, mean):
    rng = np.random.default_rng(seed)
    catalogue = create_catalogue(n_skus, 200, rng=random_stream(seed, Stream.CATALOGUE))
    demand, on_hand = rng.poisson(3, (n_skus, n_stores)), rng.poisson(mean, (n_skus, n_stores))
    day = serve_customers(demand, on_hand, catalogue=catalogue, rng=rng)
    assert (day.sold <= on_hand).all()
    assert (day.sold == demand - day.lost + day.moved_in).all()
    assert (day.moved_out <= day.lost).all()
    assert ((day.empty_share >= 0) & (day.empty_share <= 1)).all()
    assert (day.empty_share[day.lost > 0] > 0).all() or day.lost.sum() == 0
    for subcategory in np.unique(catalogue.subcategory):
        members = catalogue.subcategory == subcategory
        assert (day.moved_in[members].sum(axis=0) <= day.moved_out[members].sum(axis=0)).all()


@settings(max_examples=60, deadline=None)
@given(n_skus=SIZES, n_stores=st.integers(1, 6), seed=SEEDS)
def test_share_out_sends_no_more_than_is_asked_or_there(n_skus, n_stores, seed):
    rng = np.random.default_rng(seed)
    requests, available = rng.poisson(4, (n_skus, n_stores)), rng.poisson(12, n_skus)
    sent = share_out(requests, available, first_store=int(rng.integers(0, n_stores)))
    assert ((sent >= 0) & (sent <= requests)).all()
    assert (sent.sum(axis=1) == np.minimum(requests.sum(axis=1), available)).all()


@settings(max_examples=40, deadline=None)
@given(n_skus=SIZES, seed=SEEDS, largest=st.integers(1, 500))
def test_draw_deliveries_close_every_line_and_bring_no_more_than_ordered(n_skus, seed, largest):
    rng = np.random.default_rng(seed)
    catalogue = create_catalogue(n_skus, 200, rng=random_stream(seed, Stream.CATALOGUE))
    chain = create_chain(2, catalogue, rng=random_stream(seed, Stream.CHAIN))
    terms = sign_suppliers(catalogue, chain, rng=random_stream(seed, Stream.SUPPLIERS))
    ordered, lines = rng.integers(1, largest + 1, n_skus), np.arange(n_skus)
    got = draw_deliveries(100, day=9, order=lines, sku=lines, ordered_units=ordered, terms=terms, rng=rng)
    closed, claimed = np.zeros(n_skus, dtype=np.int64), np.zeros(n_skus, dtype=np.int64)
    np.add.at(closed, got.line - 100, got.closed_units)
    np.add.at(claimed, got.line - 100, got.claimed_units)
    assert (closed == ordered).all()
    assert (claimed <= ordered).all()
    assert ((got.came_units >= 0) & (got.came_units <= got.claimed_units)).all()
    assert (got.day > 9).all()
    short = got.is_short == 1
    assert (got.came_units[short] < got.expected_units[short]).all()


@settings(max_examples=8, deadline=None)
@given(
    n_skus=st.integers(5, 30),
    n_stores=st.integers(1, 4),
    seed=SEEDS,
    first_day=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
)
def test_trade_true_movements_give_the_shelves_and_booked_ones_the_books(n_skus, n_stores, seed, first_day):
    params = SimulationParams(n_skus=n_skus, n_stores=n_stores, n_days=120, first_day=first_day)
    history = trade(found_company(params, seed=seed), seed=seed)
    rows, losses = history.rows, history.losses
    shelves, books = np.zeros_like(history.booked), np.zeros_like(history.booked)
    is_count = rows.reference == Reference.COUNT
    np.add.at(shelves, (rows.true_sku[~is_count], rows.true_location[~is_count]), rows.true_units[~is_count])
    np.subtract.at(shelves, (losses.sku, losses.store), losses.units)
    np.add.at(books, (rows.sku, rows.location), rows.booked_units)
    assert (shelves == history.on_hand[:, :, -1]).all()
    assert (books == history.booked).all()
    assert (history.on_hand >= 0).all()


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_end_in_nine_moves_a_price_by_less_than_ten(prices):
    values = np.array(prices)
    moved = end_in_nine(values)
    assert (moved % 10 == 9).all()
    assert (np.abs(moved - values) < 10).all()
