"""`restock token`: create, list and revoke the tokens that the services ask for."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json
from restock.operations.access import Role, create_token, read_tokens, revoke_token
from restock.settings import read_settings

token_app = typer.Typer(help="Tokens for the services; only their hashes are kept.", no_args_is_help=True)


@token_app.command("create")
def create(
    name: Annotated[str, typer.Option(help="Who it is for; letters, digits and ._@-.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
) -> None:
    """Create a token and print it, this once; it can't be shown again.

    Use it: curl -H "Authorization: Bearer $(restock token create --name me --role reader)" ...
    """
    path = read_settings().tokens_path
    token = create_token(path, name, role=role)
    messages.print(
        f"token {name!r} with role {role}; only its hash is kept in {path}, so copy it now:",
        highlight=False,
        markup=False,
    )
    typer.echo(token)


@token_app.command("list")
def list_tokens(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the tokens: names, roles and dates, never the tokens."""
    path = read_settings().tokens_path
    records = read_tokens(path)
    if as_json:
        print_json([record.model_dump(mode="json", exclude={"sha256"}) for record in records])
        return
    table = Table("name", "role", "created (UTC)", "revoked (UTC)")
    for record in records:
        revoked = f"{record.revoked_at_utc:%Y-%m-%d %H:%M}" if record.revoked_at_utc else ""
        table.add_row(record.name, record.role, f"{record.created_at_utc:%Y-%m-%d %H:%M}", revoked)
    if records:
        output.print(table)
    else:
        messages.print("no tokens yet; create one: restock token create --name NAME --role reader", highlight=False)


@token_app.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Name of the token.")]) -> None:
    """Revoke a token; running services refuse it from the next request on."""
    record = revoke_token(read_settings().tokens_path, name)
    messages.print(f"token {record.name!r} ({record.role}) is revoked", highlight=False, markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(token_app, name="token")
