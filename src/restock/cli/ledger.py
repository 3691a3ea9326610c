"""`restock ledger`: the stock ledger's database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from restock.cli.console import messages, output, print_json, show_progress
from restock.params import read_params
from restock.settings import Settings, read_settings

if TYPE_CHECKING:
    from restock.operations.demo_ledger import PostedDemo
    from restock.operations.verify_ledger import VerifiedLedger

ledger_app = typer.Typer(help="The stock ledger: its database, and the proof that it balances.", no_args_is_help=True)


@ledger_app.command("migrate")
def migrate_database(
    to: Annotated[str, typer.Option(help="Revision; `head` is the latest, `base` takes all tables away.")] = "head",
) -> None:
    """Make or upgrade the ledger's tables; the rows stay.

    The database is RESTOCK_DATABASE_URL: by default a SQLite file in the workspace.
    """
    from restock.adapters.database.engine import open_database
    from restock.adapters.database.migrate import migrate

    revision = migrate(open_database(read_settings().ledger_url), to=to)
    messages.print(f"the ledger's database is at revision {revision or 'none: it has no tables'}", highlight=False)


@ledger_app.command("verify")
def verify(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Recompute every balance from the lines, check double entry and the audit chain; exit code 6 on a difference."""
    verified = verify_ledger_of(read_settings())
    if as_json:
        print_json({"movements": verified.n_movements, "balances": verified.n_balances, "seals": verified.n_seals})
        return
    output.print(
        f"{verified.n_movements:,} movements sum to zero, {verified.n_balances:,} balances are what their lines add up "
        f"to, {verified.n_seals:,} seals of the audit log hold",
        highlight=False,
    )


@ledger_app.command("seal")
def seal() -> None:
    """Lay the chain of hashes over the audit entries since the last seal."""
    from restock.adapters.database.audit_chain import seal_audit
    from restock.adapters.database.engine import open_database, write_transaction
    from restock.adapters.database.migrate import require_migrated

    engine = require_migrated(open_database(read_settings().ledger_url))
    with write_transaction(engine) as connection:
        n_sealed = seal_audit(connection, now=datetime.now(UTC))
    messages.print(f"{n_sealed:,} audit entries sealed", highlight=False)


@ledger_app.command("company")
def company(
    currency: Annotated[str | None, typer.Option(help="Code of the one currency, such as EUR.")] = None,
    currency_decimals: Annotated[
        int | None, typer.Option(min=0, max=6, help="Decimal places of money; 2 for cents, 4 for prices of screws.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Whose midnight ends a day of sales, such as Europe/Berlin.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show or set the company's currency and day; the decimals are fixed once something has been booked."""
    from dataclasses import asdict, replace

    from restock.adapters.database.engine import open_database, write_transaction
    from restock.adapters.database.migrate import require_migrated
    from restock.operations.stock.company import change_company, read_company

    wanted = {"currency": currency, "currency_decimals": currency_decimals, "time_zone": time_zone}
    changes = {name: value for name, value in wanted.items() if value is not None}
    with write_transaction(require_migrated(open_database(read_settings().ledger_url))) as connection:
        shown = replace(read_company(connection), **changes)  # type: ignore[arg-type]
        if changes:
            change_company(connection, shown, actor="command line", now=datetime.now(UTC))
    if as_json:
        print_json(asdict(shown))
        return
    output.print(
        f"currency {shown.currency} with {shown.currency_decimals} decimals; a day ends at midnight in "
        f"{shown.time_zone}",
        highlight=False,
    )


@ledger_app.command("post-demo")
def post_demo(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Post the demo company of params.yaml: catalogue, bookings and orders; a second time posts nothing.

    The tables are made where they are missing. A ledger with another company's movements is refused.

    Next: restock ledger verify
    """
    posted = post_demo_ledger(read_settings())
    if as_json:
        print_json({"posted": posted.n_posted, "known": posted.n_known, "purchase_orders": posted.n_orders})
        return
    output.print(
        f"{posted.n_posted:,} movements posted, {posted.n_known:,} were there; {posted.n_orders:,} purchase orders",
        highlight=False,
    )


def post_demo_ledger(settings: Settings) -> PostedDemo:
    """Post the demo company into the workspace's ledger, and return what was posted."""
    from restock.adapters.database.engine import open_database
    from restock.adapters.database.migrate import migrate
    from restock.operations.demo_ledger import post_demo_company
    from restock.simulation.company import simulate_demo_company

    params = read_params(settings.params_file)
    engine = open_database(settings.ledger_url)
    try:
        migrate(engine)
        tables = simulate_demo_company(params.simulation, seed=params.seed).tables
        with show_progress("posting movements") as advance:
            return post_demo_company(engine, tables, now=datetime.now(UTC), actor="demo", on_progress=advance)
    finally:
        engine.dispose()


def verify_ledger_of(settings: Settings) -> VerifiedLedger:
    """Verify the workspace's ledger, and return what was verified."""
    from restock.adapters.database.engine import open_database
    from restock.adapters.database.migrate import require_migrated
    from restock.operations.verify_ledger import verify_ledger

    engine = open_database(settings.ledger_url)
    try:
        return verify_ledger(require_migrated(engine))
    finally:
        engine.dispose()


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(ledger_app, name="ledger")
