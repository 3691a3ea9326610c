"""`restock erp`: the exchange with an ERP or CRM."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from restock.cli.console import messages, output, print_json
from restock.errors import DataError
from restock.settings import read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from restock.adapters.erp.interface import ErpKind

erp_app = typer.Typer(
    help="Exchange products, orders, customers and stock with ERPNext or Odoo, both ways.", no_args_is_help=True
)


class System(StrEnum):
    """The ERPs that there is a client for."""

    ERPNEXT = "erpnext"
    ODOO = "odoo"


class Way(StrEnum):
    """Which way."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


@erp_app.command("sync")
def sync(
    system: Annotated[System, typer.Argument(help="The ERP.")],
    *,
    kinds: Annotated[
        str,
        typer.Option(
            help="What, separated by commas: location, supplier, product, customer, purchase_order, customer_order, "
            "stock. All but stock where it is left out."
        ),
    ] = "",
    direction: Annotated[Way, typer.Option(help="Which way; what comes in comes first.")] = Way.BOTH,
    adjust: Annotated[
        bool, typer.Option("--adjust", help="Adjust the ledger to the ERP's stock; with --kinds stock --direction in.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Exchange what changed since the last time.

    It can be repeated and cut off at any moment: the next run goes on where this one was, and nothing is doubled. Where
    the ERP can't be reached it ends with exit code 75. Records that are rejected are kept with their reason: see
    `restock erp status`.
    """
    from restock.adapters.erp.connect import ErpSystem, open_client
    from restock.operations.erp.exchange import Direction
    from restock.operations.erp.synchronise import synchronise

    client = open_client(ErpSystem(system.value), read_settings())
    try:
        summary = synchronise(
            _open_ledger(),
            client,
            kinds=_read_kinds(kinds),
            direction=Direction(direction.value),
            clock=lambda: datetime.now(UTC),
            actor="restock erp sync",
            is_adjusting=adjust,
            is_rehearsal=dry_run,
        )
    finally:
        client.close()
    told = summary.as_json()
    if as_json:
        print_json(told)
        return
    for each in told["kinds"]:
        counts = ", ".join(f"{each[name]:,} {name}" for name in ("created", "changed", "unchanged", "rejected"))
        output.print(f"{each['kind']} {each['direction']}: {each['read']:,} read: {counts}", highlight=False)
    for each in told["differences"]:
        output.print(
            f"stock of {each['sku']} at {each['location']}: {each['ours']} here, {each['theirs']} there",
            highlight=False,
            markup=False,
        )
    for note in told["notes"]:
        messages.print(note, highlight=False, markup=False)


@erp_app.command("status")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show how the exchange stands: the last run, what is linked, and what was rejected and why."""
    from restock.adapters.database.engine import read_transaction
    from restock.operations.erp.state import read_state

    engine = _open_ledger()
    with read_transaction(engine) as connection:
        states = [read_state(connection, system.value) for system in System]
    if as_json:
        print_json({"systems": states})
        return
    for state in states:
        run = state["last_run"]
        told = "never exchanged" if run is None else f"{run['state']} {run['finished_at_utc'] or 'yet'}"
        output.print(f"{state['system']}: {told}", highlight=False)
        for each in state["kinds"]:
            output.print(f"  {each['kind']}: {each['links']:,} linked, {each['rejected']:,} rejected", highlight=False)
        for each in state["rejections"]:
            output.print(
                f"  {each['kind']} {each['record']} ({each['direction']}): {each['reason']}",
                highlight=False,
                markup=False,
            )


def _open_ledger() -> Engine:
    from restock.adapters.database.engine import open_database
    from restock.adapters.database.migrate import require_migrated

    return require_migrated(open_database(read_settings().ledger_url))


def _read_kinds(text: str) -> tuple[ErpKind, ...]:
    """Return the kinds that are named.

    Raises:
        DataError: one is not known.
    """
    from restock.adapters.erp.interface import ErpKind as Kinds
    from restock.operations.erp.exchange import USUAL_KINDS

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(Kinds))
    if unknown:
        raise DataError(f"kind {unknown[0]!r} is unknown, expected {', '.join(Kinds)}.")
    return tuple(Kinds(name) for name in names) or USUAL_KINDS


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(erp_app, name="erp")
