import numpy as np

from restock.simulation.catalogue import create_catalogue
from restock.simulation.shopping import sale_rows, serve_customers
from restock.simulation.streams import Stream, random_stream

CATALOGUE = create_catalogue(8, 200, rng=random_stream(0, Stream.CATALOGUE))  # two subcategories of four


def test_serve_customers_enough_stock_sells_the_demand():
    demand = np.array([[1], [0], [3], [2], [0], [4], [1], [1]])
    day = serve_customers(demand, demand + 1, catalogue=CATALOGUE, rng=np.random.default_rng(0))
    assert day.sold.tolist() == demand.tolist()
    assert not day.lost.any()
    assert not day.empty_share.any()


def test_serve_customers_substitutes_stay_in_the_subcategory():
    demand, stock = np.zeros((8, 1), dtype=np.int64), np.full((8, 1), 100)
    demand[0], stock[0] = 50, 0
    day = serve_customers(demand, stock, catalogue=CATALOGUE, rng=np.random.default_rng(0))
    assert day.lost[0, 0] == 50
    assert 0 < day.moved_out[0, 0] < 50
    assert day.moved_in[1:4].sum() == day.moved_out.sum()
    assert day.moved_in[4:].sum() == 0


def test_serve_customers_nothing_similar_left_moves_nobody():
    demand = np.array([[5]] * 4 + [[0]] * 4)
    day = serve_customers(demand, np.array([[0]] * 4 + [[9]] * 4), catalogue=CATALOGUE, rng=np.random.default_rng(0))
    assert day.moved_out.sum() == 0
    assert day.empty_share[:4].tolist() == [[1.0]] * 4


def test_serve_customers_empty_share_follows_the_order_statistic():
    stores = 4000
    demand, stock = np.zeros((8, stores), dtype=np.int64), np.zeros((8, stores), dtype=np.int64)
    demand[0], stock[0] = 9, 4
    day = serve_customers(demand, stock, catalogue=CATALOGUE, rng=np.random.default_rng(0))
    # The 4th of 9 uniform arrivals comes at 4/10 of the day on average (David & Nagaraja, Order Statistics, 2003, 2.2).
    assert abs(day.empty_share[0].mean() - 0.6) < 0.01


def test_sale_rows_lines_add_up_to_what_was_sold():
    sold = np.random.default_rng(1).poisson(5, (8, 3))
    rows = sale_rows(4, sold, price_minor=np.arange(8) + 100, rng=np.random.default_rng(2))
    booked = np.zeros_like(sold)
    np.add.at(booked, (rows.sku, rows.location), -rows.booked_units)
    assert booked.tolist() == sold.tolist()
    assert (rows.booked_units < 0).all()
    lines = set(zip(rows.number.tolist(), rows.sku.tolist(), strict=True))
    assert len(lines) == rows.n_rows
