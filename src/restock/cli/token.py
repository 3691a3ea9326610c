"""`restock token`: create, list and revoke the tokens that the services ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json
from restock.operations.access import Role, Scope
from restock.settings import read_settings

token_app = typer.Typer(help="Tokens for the services; only their hashes are kept.", no_args_is_help=True)


@token_app.command("create")
def create(
    name: Annotated[str, typer.Option(help="Who it is for; letters, digits and ._@-.")],
    role: Annotated[Role, typer.Option(help="What it is.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="Only this of what the role may do; repeatable. Default: all of it.")
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Refused after so many days. Default: never.")
    ] = None,
) -> None:
    """Create a token and print it, this once; it can't be shown again.

    Use it: curl -H "Authorization: Bearer $(restock token create --name me --role service)" ...
    """
    from restock.adapters.database.engine import write_transaction
    from restock.operations.identity.issuing import COMMAND_LINE
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.tokens import TokenDraft, create_token

    now = datetime.now(UTC)
    expires_at = None if expires_in_days is None else now + timedelta(days=expires_in_days)
    draft = TokenDraft(name=name, role=role, scopes=scope, expires_at=expires_at)
    with write_transaction(open_identity(read_settings().ledger_url)) as connection:
        token = create_token(connection, draft, actor=COMMAND_LINE, now=now)
    messages.print(
        f"token {name!r} with role {role}; only its hash is kept, so copy it now:", highlight=False, markup=False
    )
    typer.echo(token.secret)


@token_app.command("list")
def list_tokens(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the tokens: names, owners, roles, scopes and dates, never the tokens."""
    from restock.adapters.database.engine import read_transaction
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.tokens import list_tokens as read_tokens

    with read_transaction(open_identity(read_settings().ledger_url)) as connection:
        records = read_tokens(connection)
    if as_json:
        print_json(
            [
                {
                    "name": record.name,
                    "username": record.username,
                    "role": record.role,
                    "scopes": None if record.scopes is None else sorted(record.scopes),
                    "created_at_utc": record.created_at.isoformat(),
                    "expires_at_utc": record.expires_at and record.expires_at.isoformat(),
                    "revoked_at_utc": record.revoked_at and record.revoked_at.isoformat(),
                }
                for record in records
            ]
        )
        return
    table = Table("name", "user", "role", "scopes", "created (UTC)", "expires (UTC)", "revoked (UTC)")
    for record in records:
        scopes = "all" if record.scopes is None else ", ".join(sorted(record.scopes))
        days = (_minute(instant) for instant in (record.created_at, record.expires_at, record.revoked_at))
        table.add_row(record.name, record.username or "", record.role, scopes, *days)
    if records:
        output.print(table)
    else:
        messages.print("no tokens yet; create one: restock token create --name NAME --role service", highlight=False)


@token_app.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Name of the token.")]) -> None:
    """Revoke a token; running services refuse it from the next request on, on PostgreSQL within a second."""
    from restock.adapters.database.engine import write_transaction
    from restock.operations.identity.issuing import COMMAND_LINE
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.tokens import revoke_named

    with write_transaction(open_identity(read_settings().ledger_url)) as connection:
        record = revoke_named(connection, name, actor=COMMAND_LINE, now=datetime.now(UTC))
    messages.print(f"token {record.name!r} ({record.role}) is revoked", highlight=False, markup=False)


def _minute(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M}"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(token_app, name="token")
