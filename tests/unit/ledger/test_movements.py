from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.ledger.balances import InsufficientStockError, Lot, add_up, choose_lots, find_shortages, require_stock
from restock.ledger.chain import GENESIS, find_break, hash_entry
from restock.ledger.movements import (
    Entry,
    Kind,
    Line,
    Movement,
    MovementError,
    Virtual,
    adjust,
    arrive,
    checked,
    dispatch,
    receive,
    reverse,
    sell,
    settle_count,
    sum_by_lot,
    take_back,
    write_off,
)
from restock.ledger.quantities import QuantityError, UnitsOfMeasure, to_minor_units

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
ENTRY = Entry(sku="A", quantity=5, lot="L1", unit_cost=150)
PIECES = UnitsOfMeasure(base_unit="piece", decimals=0, factors={"case": Decimal(12), "pair": Decimal(2)})
KILOS = UnitsOfMeasure(base_unit="kg", decimals=3, factors={"sack": Decimal("12.5")})

VERBS = {
    Kind.RECEIPT: (lambda entries: receive(entries, location="S", occurred_at=NOW), Virtual.SUPPLIER, 5),
    Kind.SALE: (lambda entries: sell(entries, location="S", occurred_at=NOW), Virtual.CUSTOMER, -5),
    Kind.RETURN: (lambda entries: take_back(entries, location="S", occurred_at=NOW), Virtual.CUSTOMER, 5),
    Kind.TRANSFER_OUT: (
        lambda entries: dispatch(entries, location="S", occurred_at=NOW, reference="TR-1"),
        Virtual.TRANSIT,
        -5,
    ),
    Kind.TRANSFER_IN: (
        lambda entries: arrive(entries, location="S", occurred_at=NOW, reference="TR-1"),
        Virtual.TRANSIT,
        5,
    ),
    Kind.WRITE_OFF: (
        lambda entries: write_off(entries, location="S", occurred_at=NOW, reason="broken"),
        Virtual.LOSS,
        -5,
    ),
    Kind.ADJUSTMENT: (
        lambda entries: adjust(entries, location="S", occurred_at=NOW, reason="wrong unit"),
        Virtual.ADJUSTMENT,
        5,
    ),
}


@pytest.mark.parametrize("kind", VERBS)
def test_verb_moves_between_the_location_and_its_counterpart(kind):
    build, counterpart, change = VERBS[kind]
    movement = build([ENTRY])
    assert movement.kind is kind
    assert add_up(movement.lines) == {("A", "S", "L1"): change, ("A", counterpart, "L1"): -change}
    assert {line.unit_cost for line in movement.lines} == {150}


@pytest.mark.parametrize("kind", [kind for kind in VERBS if kind is not Kind.ADJUSTMENT])
@pytest.mark.parametrize("quantity", [0, -1])
def test_verb_of_nothing_or_less_is_refused(kind, quantity):
    with pytest.raises(MovementError, match=f"must move more than 0, got {quantity}"):
        VERBS[kind][0]([Entry(sku="A", quantity=quantity)])


@pytest.mark.parametrize("kind", VERBS)
def test_verb_without_entries_is_refused(kind):
    with pytest.raises(MovementError, match="nothing to move"):
        VERBS[kind][0]([])


def test_write_off_without_a_reason_is_refused():
    with pytest.raises(MovementError, match="reason is empty, expected why the goods are gone"):
        write_off([ENTRY], location="S", occurred_at=NOW, reason="  ")


def test_settle_count_books_what_is_missing_and_what_is_too_much():
    counted = [Entry(sku="A", quantity=3), Entry(sku="B", quantity=9), Entry(sku="C", quantity=4)]
    movement = settle_count(counted, booked=[5, 7, 4], location="S", occurred_at=NOW, reference="COUNT-1")
    assert add_up(movement.lines) == {
        ("A", "S", ""): -2,
        ("A", Virtual.LOSS, ""): 2,
        ("B", "S", ""): 2,
        ("B", Virtual.FOUND, ""): -2,
    }


def test_settle_count_that_found_what_was_booked_posts_nothing():
    found = [Entry(sku="A", quantity=5)]
    assert settle_count(found, booked=[5], location="S", occurred_at=NOW, reference="COUNT-1") is None


def test_settle_count_of_a_negative_book_brings_it_to_the_count():
    movement = settle_count(
        [Entry(sku="A", quantity=2)], booked=[-3], location="S", occurred_at=NOW, reference="COUNT-1"
    )
    assert add_up(movement.lines)["A", "S", ""] == 5


def test_reverse_takes_every_line_back():
    sale = sell([ENTRY], location="S", occurred_at=NOW, reference="R-1")
    back = reverse(sale, posted_as="m1", occurred_at=NOW, reason="wrong till")
    assert back.reverses == "m1"
    assert set(add_up([*sale.lines, *back.lines]).values()) == {0}


def test_reverse_of_a_reversal_is_refused():
    back = reverse(sell([ENTRY], location="S", occurred_at=NOW), posted_as="m1", occurred_at=NOW, reason="x")
    with pytest.raises(MovementError, match="m2 is a reversal; a reversal is not reversed"):
        reverse(back, posted_as="m2", occurred_at=NOW, reason="x")


def test_checked_lines_of_two_lots_that_only_balance_together_are_refused():
    lines = (Line(sku="A", location="S", quantity=1, lot="L1"), Line(sku="A", location="T", quantity=-1, lot="L2"))
    with pytest.raises(MovementError, match="the lines of A lot L1 sum to 1, expected 0"):
        checked(Movement(kind=Kind.ADJUSTMENT, occurred_at=NOW, lines=lines))


ENTRIES = st.lists(
    st.builds(
        Entry,
        sku=st.sampled_from("ABC"),
        quantity=st.integers(1, 10**6),
        lot=st.sampled_from(["", "L1", "L2"]),
    ),
    min_size=1,
    max_size=8,
)


@given(ENTRIES, st.sampled_from(list(VERBS)))
def test_every_verb_sums_to_zero_per_sku_and_lot(entries, kind):
    assert set(sum_by_lot(VERBS[kind][0](entries).lines).values()) == {0}


def test_find_shortages_below_zero_only_where_it_is_not_allowed():
    changes = {("A", "S", ""): -3, ("A", "T", ""): -3, ("A", Virtual.CUSTOMER, ""): 6, ("B", "S", ""): 1}
    found = find_shortages(changes, {("A", "S", ""): 2, ("B", "S", ""): -5}, may_be_negative=frozenset({"T"}))
    assert [(each.sku, each.location, each.balance) for each in found] == [("A", "S", -1)]


def test_require_stock_names_the_first_shortage():
    shortages = find_shortages({("A", "S", "L1"): -3}, {}, may_be_negative=frozenset())
    with pytest.raises(InsufficientStockError, match="S would hold -3 of A of lot L1, expected 0 or more"):
        require_stock(shortages)


def test_choose_lots_leaves_expired_ones_and_takes_the_next_to_expire_first():
    lots = [
        Lot(lot="late", quantity=5, expires_on=date(2024, 9, 1)),
        Lot(lot="expired", quantity=5, expires_on=date(2024, 4, 30)),
        Lot(lot="soon", quantity=2, expires_on=date(2024, 5, 1)),
        Lot(lot="never", quantity=9),
        Lot(lot="empty", quantity=0, expires_on=date(2024, 5, 1)),
    ]
    assert choose_lots(lots, 8, today=date(2024, 5, 1)) == (("soon", 2), ("late", 5), ("never", 1))


@given(st.lists(st.builds(Lot, lot=st.uuids().map(str), quantity=st.integers(0, 50))), st.integers(1, 200))
def test_choose_lots_takes_what_is_asked_or_all_there_is(lots, quantity):
    taken = choose_lots(lots, quantity, today=date(2024, 5, 1))
    available = {each.lot: each.quantity for each in lots}
    assert sum(amount for _, amount in taken) == min(quantity, sum(available.values()))
    assert all(0 < amount <= available[lot] for lot, amount in taken)


@pytest.mark.parametrize(
    ("units", "quantity", "unit", "scaled"),
    [(PIECES, "3", "piece", 3), (PIECES, "0.5", "pair", 1), (KILOS, "1.250", "kg", 1250), (KILOS, "2", "sack", 25_000)],
)
def test_to_scaled_is_exact(units, quantity, unit, scaled):
    assert units.to_scaled(Decimal(quantity), unit) == scaled


@pytest.mark.parametrize(
    ("quantity", "unit", "message"),
    [
        ("0.3", "case", r"0.3 case is 3.6 piece, which has more than 0 decimal places"),
        ("1", "pallet", "unit of measure 'pallet' is unknown here, expected one of piece, case, pair"),
        ("NaN", "piece", "must be a finite number, got NaN"),
        ("1e16", "piece", "is more than the ledger holds"),
    ],
)
def test_to_scaled_what_can_t_be_held_is_refused(quantity, unit, message):
    with pytest.raises(QuantityError, match=message):
        PIECES.to_scaled(Decimal(quantity), unit)


@given(st.decimals(-(10**6), 10**6, places=3))
def test_from_scaled_gives_back_what_was_entered(quantity):
    assert KILOS.from_scaled(KILOS.to_scaled(quantity, "kg")) == quantity


@pytest.mark.parametrize("amount", ["1.005", "NaN", "Infinity"])
def test_to_minor_units_what_is_not_exact_is_refused(amount):
    with pytest.raises(QuantityError, match=r"decimal places|finite number"):
        to_minor_units(Decimal(amount), decimals=2)


def chain(contents):
    previous, entries = GENESIS, []
    for content in contents:
        previous = hash_entry(previous, content)
        entries.append((content, previous))
    return entries


def test_find_break_names_the_first_changed_entry():
    entries = chain([{"n": number} for number in range(5)])
    assert find_break(entries) is None
    changed = [*entries[:2], ({"n": 99}, entries[2][1]), *entries[3:]]
    assert find_break(changed) == 2
    assert find_break([*entries[:2], *entries[3:]]) == 2
