"""The truth behind the company's records, for tests and benchmarks; nothing that plans may read it."""

from __future__ import annotations

import numpy as np
import polars as pl

from restock.simulation.arrays import Ints
from restock.simulation.history import Company, History
from restock.simulation.movements import ErrorKind, movement_ids, named
from restock.simulation.records import dates_of, listed_days

_ERROR_NAMES = [kind.name.lower() for kind in ErrorKind]


def truth_tables(company: Company, history: History) -> dict[str, pl.DataFrame]:
    """Return the truth by name.

    - `demand`: sku, location, date, latent_mean_units, demand_units, substituted_in_units; a row for each of sales.
    - `lost_sales`: sku, location, date, lost_units, substituted_out_units (the part of them that asked for another
      article), stockout_share; rows with lost units only. Sales = demand - lost + substituted_in.
    - `injected_errors`: movement, kind, date, sku, location, user, booked_units and true_quantity, true_sku,
      true_location; slow losses have one row a spell, without movement, dated at its first loss.
    - `hidden_losses`: kind, date, sku, location, lost_units; every unit that left without a booking.
    - `on_hand`: sku, location, date, on_hand; what was really there at the end of each day.
    """
    return {
        "demand": _demand(company, history),
        "lost_sales": _lost_sales(company, history),
        "injected_errors": pl.concat([_booking_errors(company, history), _loss_spells(company, history)]).sort(
            "date", "movement", "kind", "sku", "location", nulls_last=True
        ),
        "hidden_losses": _hidden_losses(company, history),
        "on_hand": _on_hand(company, history),
    }


def _demand(company: Company, history: History) -> pl.DataFrame:
    sku, store, day = listed_days(company)
    moved_in = np.stack([sales.moved_in for sales in history.sales], axis=2)
    return pl.DataFrame(
        {
            **_place(company, sku, location=store, day=day),
            "latent_mean_units": company.demand.mean_units[sku, store, day],
            "demand_units": company.demand.demand_units[sku, store, day],
            "substituted_in_units": moved_in[sku, store, day],
        }
    )


def _lost_sales(company: Company, history: History) -> pl.DataFrame:
    lost = np.stack([sales.lost for sales in history.sales], axis=2)
    moved_out = np.stack([sales.moved_out for sales in history.sales], axis=2)
    empty_share = np.stack([sales.empty_share for sales in history.sales], axis=2)
    sku, store, day = np.nonzero(lost)
    return pl.DataFrame(
        {
            **_place(company, sku, location=store, day=day),
            "lost_units": lost[sku, store, day],
            "substituted_out_units": moved_out[sku, store, day],
            "stockout_share": empty_share[sku, store, day],
        }
    )


def _booking_errors(company: Company, history: History) -> pl.DataFrame:
    """Return one row for every movement that is wrong, or a receipt that stays short."""
    ids = movement_ids(history.rows)
    wrong = np.flatnonzero(history.rows.error != ErrorKind.NONE)
    rows = history.rows.select(wrong)
    return pl.DataFrame(
        {
            "movement": ids.gather(wrong),
            "kind": named(_ERROR_NAMES, rows.error),
            **_place(company, rows.sku, location=rows.location, day=rows.day),
            "user": named(company.chain.user, rows.user),
            "booked_units": rows.booked_units,
            "true_quantity": rows.true_units,
            "true_sku": named(company.catalogue.sku, rows.true_sku),
            "true_location": named(company.chain.location, rows.true_location),
        }
    )


def _loss_spells(company: Company, history: History) -> pl.DataFrame:
    """Return one row a spell of loss: theft has one spell an article and store, vanished stock one a day."""
    losses = _hidden_losses(company, history)
    theft = losses.filter(pl.col("kind") == ErrorKind.SHRINKAGE.name.lower())
    spells = theft.group_by("kind", "sku", "location", maintain_order=True).agg(
        pl.col("date").min(), pl.col("lost_units").sum()
    )
    gone = losses.filter(pl.col("kind") == ErrorKind.PHANTOM_STOCK.name.lower())
    return pl.concat([spells, gone.select(spells.columns)]).select(
        movement=pl.lit(None, dtype=pl.String),
        kind="kind",
        sku="sku",
        location="location",
        date="date",
        user=pl.lit(None, dtype=pl.String),
        booked_units=pl.lit(0, dtype=pl.Int64),
        true_quantity=-pl.col("lost_units"),
        true_sku="sku",
        true_location="location",
    )


def _hidden_losses(company: Company, history: History) -> pl.DataFrame:
    losses = history.losses
    return pl.DataFrame(
        {
            "kind": named(_ERROR_NAMES, losses.kind),
            **_place(company, losses.sku, location=losses.store, day=losses.day),
            "lost_units": losses.units,
        }
    )


def _on_hand(company: Company, history: History) -> pl.DataFrame:
    chain = company.chain
    is_kept = np.concatenate([chain.is_listed, np.ones((chain.is_listed.shape[0], 1), dtype=np.bool_)], axis=1)
    sku, location = np.nonzero(is_kept)
    n_days = company.days.n_days
    day = np.tile(np.arange(n_days), sku.size)
    return pl.DataFrame(
        {
            **_place(company, np.repeat(sku, n_days), location=np.repeat(location, n_days), day=day),
            "on_hand": history.on_hand[sku, location].ravel(),
        }
    )


def _place(company: Company, sku: Ints, *, location: Ints, day: Ints) -> dict[str, pl.Series]:
    """Return the columns sku, location and date."""
    return {
        "sku": named(company.catalogue.sku, sku),
        "location": named(company.chain.location, location),
        "date": dates_of(company, day),
    }
