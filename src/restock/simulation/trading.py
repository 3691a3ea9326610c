"""Trading: the chain day by day - deliveries, shopping, losses, bookings, counts and new orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from restock.simulation.arrays import Flags, Ints
from restock.simulation.chain import USERS_PER_LOCATION
from restock.simulation.clerks import book_movements
from restock.simulation.floor import Floor, kept_articles, open_floor, opening_rows
from restock.simulation.history import Company, HiddenLosses, History
from restock.simulation.losses import ShrinkagePlan, plan_shrinkage, steal, vanish
from restock.simulation.movements import (
    ErrorKind,
    Kind,
    MovementRows,
    Reference,
    in_order_of_time,
    join_rows,
    true_movements,
    unnoticed,
)
from restock.simulation.ordering import (
    purchase_quantities,
    request_transfers,
    share_out,
    smoothed_rates,
)
from restock.simulation.returns import FraudPlan, false_returns, honest_returns, plan_fraud
from restock.simulation.shopping import DayOfSales, sale_rows, serve_customers
from restock.simulation.streams import Stream, random_stream

COUNT_SECOND = 21 * 3600 + 1800
_DELIVERY_SECOND, _DISPATCH_SECOND, _UNLOAD_SECOND = 4 * 3600, 5 * 3600 + 1800, 6 * 3600 + 2700
_WRITE_OFF_SECOND = 20 * 3600 + 1800
_WINDOW_SECONDS = 2400
_COUNT_ROUND_WEEKS = 4
_COUNT_NOISE_SHARES = (0.012, 0.976, 0.012)  # one too few, right, one too many
_PACK_ENTRY_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class _Plans:
    """Spells fixed ahead and one generator a stream."""

    shrinkage: ShrinkagePlan
    fraud: FraudPlan
    rng: dict[Stream, np.random.Generator]


def trade(company: Company, *, seed: int) -> History:
    """Return what all days of history bring."""
    n_days, n_stores = company.days.n_days, company.chain.n_stores
    plans = _plan_ahead(company, seed=seed)
    floor = open_floor(company, rng=plans.rng[Stream.PLANNER])
    sales: list[DayOfSales] = []
    reported = np.zeros((company.catalogue.n_skus, n_stores, n_days))
    on_hand = np.zeros((company.catalogue.n_skus, n_stores + 1, n_days), dtype=np.int64)
    rows: list[MovementRows] = [opening_rows(floor)]
    losses: list[HiddenLosses] = []
    for day in range(n_days):
        is_kept = kept_articles(company, day)
        parts = [_receive(floor, company, day=day, plans=plans), _transfer(floor, company, day=day, plans=plans)]
        losses += _lose(floor, day=day, is_active=is_kept[:, :-1], plans=plans)
        sold = serve_customers(
            company.demand.demand_units[:, :, day],
            floor.on_hand[:, :-1],
            catalogue=company.catalogue,
            rng=plans.rng[Stream.SHOPPING],
        )
        parts += _sell_and_take_back(floor, company, sold, day=day, is_active=is_kept[:, :-1], plans=plans)
        parts.append(_write_off(floor, company, day=day))
        booked_rows = book_movements(join_rows(parts), company.catalogue, is_kept=is_kept, rng=plans.rng[Stream.CLERKS])
        np.add.at(floor.booked, (booked_rows.sku, booked_rows.location), booked_rows.booked_units)
        reported[:, :, day] = np.where(floor.is_phantom, 0.0, sold.empty_share)
        rows += [booked_rows, _count(floor, company, day=day, is_kept=is_kept, plans=plans)]
        _reorder(
            floor, company, sold.sold, day=day, is_informative=is_kept[:, :-1] & (reported[:, :, day] == 0), plans=plans
        )
        sales.append(sold)
        on_hand[:, :, day] = floor.on_hand
    return History(
        sales=sales,
        reported_empty_share=reported,
        on_hand=on_hand,
        booked=floor.booked,
        in_transfer=floor.in_transfer,
        last_count_day=floor.last_count_day,
        rows=in_order_of_time(join_rows(rows)),
        losses=_join_losses(losses),
        orders=floor.orders,
    )


def _plan_ahead(company: Company, *, seed: int) -> _Plans:
    rng = {stream: random_stream(seed, stream) for stream in Stream}
    return _Plans(
        shrinkage=plan_shrinkage(company.demand.mean_units, company.chain, rng=rng[Stream.LOSSES]),
        fraud=plan_fraud(company.chain, company.days.n_days, rng=rng[Stream.FRAUD]),
        rng=rng,
    )


def _entry_pack(units: Ints, pack: Ints, *, rng: np.random.Generator) -> Ints:
    """Return the unit of measure in which whole packs are entered: often the pack, else the piece."""
    return np.where((units % pack == 0) & (rng.random(units.size) < _PACK_ENTRY_SHARE), pack, 1)


def _receive(floor: Floor, company: Company, *, day: int, plans: _Plans) -> MovementRows:
    """Take in the day's deliveries to the warehouse; return the receipts."""
    arrived = floor.orders.arrive(day)
    rng, warehouse, sku = plans.rng[Stream.BOOKING], company.chain.warehouse, arrived.sku
    np.add.at(floor.on_hand[:, warehouse], sku, arrived.came_units)
    np.add.at(floor.received[day][:, warehouse], sku, arrived.came_units)
    rows = true_movements(
        day,
        _DELIVERY_SECOND + rng.integers(0, _WINDOW_SECONDS, sku.size),
        sku=sku,
        location=warehouse,
        kind=Kind.RECEIPT,
        units=arrived.claimed_units,
        user=warehouse * USERS_PER_LOCATION + rng.integers(0, USERS_PER_LOCATION, sku.size),
        reference=Reference.ORDER,
        number=arrived.order,
        price_minor=company.catalogue.unit_cost_minor[sku],
        pack=_entry_pack(arrived.claimed_units, company.catalogue.pack_units[sku], rng=rng),
        expected_units=arrived.expected_units,
    )
    return unnoticed(rows, arrived.came_units, is_short=arrived.is_short)


def _transfer(floor: Floor, company: Company, *, day: int, plans: _Plans) -> MovementRows:
    """Move what was promised last evening from the warehouse to the stores; return two rows a transfer."""
    rng, warehouse = plans.rng[Stream.BOOKING], company.chain.warehouse
    sku, store = np.nonzero(floor.in_transfer)
    units = floor.in_transfer[sku, store]
    floor.on_hand[:, :-1] += floor.in_transfer
    floor.on_hand[:, -1] -= floor.in_transfer.sum(axis=1)
    floor.received[day][:, :-1] += floor.in_transfer
    number = floor.n_transfers + 1 + np.arange(sku.size)
    floor.n_transfers += int(sku.size)
    pack = _entry_pack(units, company.catalogue.pack_units[sku], rng=rng)

    def leg(location: Ints, change: Ints, second: int) -> MovementRows:
        return true_movements(
            day,
            second + np.arange(sku.size) * _WINDOW_SECONDS // max(sku.size, 1),
            sku=sku,
            location=location,
            kind=Kind.TRANSFER,
            units=change,
            user=location * USERS_PER_LOCATION + rng.integers(0, USERS_PER_LOCATION, sku.size),
            reference=Reference.TRANSFER,
            number=number,
            pack=pack,
        )

    out = leg(np.full(sku.size, warehouse, dtype=np.int64), -units, _DISPATCH_SECOND)
    return join_rows([out, leg(store, units, _UNLOAD_SECOND)])


def _lose(floor: Floor, *, day: int, is_active: Flags, plans: _Plans) -> list[HiddenLosses]:
    """Take out what is stolen and what vanishes before the shop opens."""
    rng, stores = plans.rng[Stream.LOSSES], floor.on_hand[:, :-1]
    found = []
    stolen = steal(plans.shrinkage, stores, day=day, rng=rng)
    gone = vanish(stores - stolen, floor.booked[:, :-1], rates=floor.rates, is_active=is_active, rng=rng)
    for kind, units in ((ErrorKind.SHRINKAGE, stolen), (ErrorKind.PHANTOM_STOCK, gone)):
        sku, store = np.nonzero(units)
        found.append(
            HiddenLosses(
                kind=np.full(sku.size, kind, dtype=np.int64),
                day=np.full(sku.size, day, dtype=np.int64),
                sku=sku,
                store=store,
                units=units[sku, store],
            )
        )
    floor.on_hand[:, :-1] -= stolen + gone
    floor.is_phantom = (floor.is_phantom & (stores == 0)) | (gone > 0)
    return found


def _sell_and_take_back(
    floor: Floor, company: Company, sold: DayOfSales, *, day: int, is_active: Flags, plans: _Plans
) -> list[MovementRows]:
    """Hand over what is sold, put back what returns; return sales, honest and false returns."""
    price = company.prices.price_minor[:, day]
    sales = sale_rows(day, sold.sold, price_minor=price, rng=plans.rng[Stream.BOOKING])
    back = honest_returns(floor.desk, day, catalogue=company.catalogue, rng=plans.rng[Stream.RETURNS])
    fraud = false_returns(
        floor.desk, day, plan=plans.fraud, price_minor=price, is_active=is_active, rng=plans.rng[Stream.FRAUD]
    )
    floor.on_hand[:, :-1] -= sold.sold
    np.add.at(floor.on_hand, (back.sku, back.location), back.true_units)
    floor.desk.recent.append(sales)
    return [sales, back, fraud]


def _write_off(floor: Floor, company: Company, *, day: int) -> MovementRows:
    """Throw away what has expired, oldest sold first; return the write-offs."""
    life = company.catalogue.shelf_life_days
    floor.fresh += floor.received[day]
    expires = np.flatnonzero((life > 0) & (life <= day))
    floor.fresh[expires] -= floor.received[day - life[expires], expires]
    expired = np.where((life > 0)[:, None], np.maximum(floor.on_hand - floor.fresh, 0), 0)
    sku, location = np.nonzero(expired)
    units = expired[sku, location]
    floor.on_hand = floor.on_hand - expired
    number = floor.n_notes + 1 + np.arange(sku.size)
    floor.n_notes += int(sku.size)
    return true_movements(
        day,
        _WRITE_OFF_SECOND + np.arange(sku.size) * _WINDOW_SECONDS // max(sku.size, 1),
        sku=sku,
        location=location,
        kind=Kind.ADJUSTMENT,
        units=-units,
        user=location * USERS_PER_LOCATION + number % USERS_PER_LOCATION,
        reference=Reference.NOTE,
        number=number,
    )


def _count(floor: Floor, company: Company, *, day: int, is_kept: Flags, plans: _Plans) -> MovementRows:
    """Count a part of the articles where today is the location's day of counting, and set the books to the count."""
    n_skus, n_locations = is_kept.shape
    weekday = int(company.days.weekday[day])
    week = (day - weekday) // 7
    is_today = (np.arange(n_locations) * 2 + 1) % 6 == weekday
    is_turn = np.arange(n_skus) % _COUNT_ROUND_WEEKS == week % _COUNT_ROUND_WEEKS
    sku, location = np.nonzero(is_kept & is_turn[:, None] & is_today)
    slip = plans.rng[Stream.COUNTS].choice((-1, 0, 1), size=sku.size, p=_COUNT_NOISE_SHARES)
    on_hand = floor.on_hand[sku, location]
    counted = np.where(on_hand > 0, on_hand + slip, 0)
    difference = counted - floor.booked[sku, location]
    floor.booked[sku, location] = counted
    floor.last_count_day[sku, location] = day
    is_store = location < n_locations - 1
    floor.is_phantom[sku[is_store], location[is_store]] = False
    iso = (company.days.first_day + timedelta(days=day)).isocalendar()
    return true_movements(
        day,
        COUNT_SECOND,
        sku=sku,
        location=location,
        kind=Kind.ADJUSTMENT,
        units=difference,
        user=location * USERS_PER_LOCATION + week % USERS_PER_LOCATION,
        reference=Reference.COUNT,
        number=iso.year * 100 + iso.week,
    )


def _reorder(floor: Floor, company: Company, sold: Ints, *, day: int, is_informative: Flags, plans: _Plans) -> None:
    """Learn from the day's sales, promise the stores tomorrow's transfers and order from the suppliers."""
    planner, terms = company.planner, company.suppliers
    floor.rates = smoothed_rates(
        floor.rates, sold, day_factor=planner.day_factor[:, day], is_informative=is_informative
    )
    requests = request_transfers(
        floor.booked[:, :-1],
        floor.rates,
        planner=planner,
        terms=terms,
        day=day,
        is_active=kept_articles(company, day + 1)[:, :-1],
    )
    floor.in_transfer = share_out(requests, floor.on_hand[:, -1], first_store=day % company.chain.n_stores)
    position = floor.booked[:, -1] - floor.in_transfer.sum(axis=1) + floor.orders.on_order_units
    quantities = purchase_quantities(
        position, floor.rates.sum(axis=1), planner=planner, catalogue=company.catalogue, terms=terms, day=day
    )
    floor.orders.place(quantities, day=day, rng=plans.rng[Stream.DELIVERIES])


def _join_losses(parts: list[HiddenLosses]) -> HiddenLosses:
    def column(name: str) -> Ints:
        return np.concatenate([getattr(part, name) for part in parts])

    return HiddenLosses(
        kind=column("kind"), day=column("day"), sku=column("sku"), store=column("store"), units=column("units")
    )
