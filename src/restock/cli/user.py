"""`restock user`: the people who may sign in."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json
from restock.errors import ConfigurationError
from restock.operations.access import Role
from restock.settings import read_settings

user_app = typer.Typer(help="The people who may sign in to the planning service.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="Name of the user.")]


@user_app.command("create")
def create(
    username: Annotated[str, typer.Argument(help="Letters, digits and ._@-; kept in lower case.")],
    role: Annotated[Role, typer.Option(help="What they are.")],
    display_name: Annotated[str, typer.Option(help="As others call them.")] = "",
) -> None:
    """Add a user; the password is asked for, or read from standard input.

    They have to choose another one when they sign in for the first time.
    """
    from restock.adapters.database.engine import write_transaction
    from restock.operations.identity.issuing import COMMAND_LINE
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.users import UserDraft, create_user

    draft = UserDraft(
        username=username,
        role=role,
        display_name=display_name,
        password=_read_password(),
        must_change_password=True,
    )
    with write_transaction(open_identity(read_settings().ledger_url)) as connection:
        user = create_user(connection, draft, actor=COMMAND_LINE, now=datetime.now(UTC))
    messages.print(f"user {user.username!r} with role {user.role} may sign in", highlight=False, markup=False)


@user_app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the users: names, roles and whether they are let in, never passwords."""
    from restock.adapters.database.engine import read_transaction
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.users import list_users

    with read_transaction(open_identity(read_settings().ledger_url)) as connection:
        users = list_users(connection)
    if as_json:
        print_json(
            [
                {
                    "username": user.username,
                    "display_name": user.display_name,
                    "role": user.role,
                    "is_active": user.is_active,
                    "has_password": user.has_password,
                    "must_change_password": user.must_change_password,
                    "created_at_utc": user.created_at.isoformat(),
                }
                for user in users
            ]
        )
        return
    table = Table("username", "name", "role", "state", "created (UTC)")
    for user in users:
        state = "active" if user.is_active else "disabled"
        table.add_row(user.username, user.display_name, user.role, state, f"{user.created_at:%Y-%m-%d %H:%M}")
    if users:
        output.print(table)
    else:
        messages.print("no users yet; add one: restock user create NAME --role admin", highlight=False)


@user_app.command("password")
def change_password(username: _Name) -> None:
    """Set a user's password, asked for or read from standard input; they are signed out everywhere.

    Also lets somebody in again who failed too often.
    """
    from restock.adapters.database.engine import write_transaction
    from restock.operations.identity.issuing import COMMAND_LINE
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.users import set_password

    password = _read_password()
    with write_transaction(open_identity(read_settings().ledger_url)) as connection:
        user = set_password(connection, username, password, actor=COMMAND_LINE, now=datetime.now(UTC), must_change=True)
    messages.print(f"the password of {user.username!r} is changed", highlight=False, markup=False)


@user_app.command("disable")
def disable(username: _Name) -> None:
    """Keep a user out from now on: sessions end, tokens of theirs are refused."""
    _set_active(username, is_active=False)


@user_app.command("enable")
def enable(username: _Name) -> None:
    """Let a disabled user in again."""
    _set_active(username, is_active=True)


def _set_active(username: str, *, is_active: bool) -> None:
    from restock.adapters.database.engine import write_transaction
    from restock.operations.identity.issuing import COMMAND_LINE
    from restock.operations.identity.opening import open_identity
    from restock.operations.identity.users import UserChange, change_user

    change = UserChange(is_active=is_active)
    with write_transaction(open_identity(read_settings().ledger_url)) as connection:
        user = change_user(connection, username, change, actor=COMMAND_LINE, now=datetime.now(UTC))
    state = "active" if user.is_active else "disabled"
    messages.print(f"user {user.username!r} is {state}", highlight=False, markup=False)


def _read_password() -> str:
    """Return a password that was typed unseen, twice, or the first line of standard input; never an argument.

    Raises:
        ConfigurationError: nothing came.
    """
    if sys.stdin.isatty():
        typed: str = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise ConfigurationError("no password came on standard input. Type it on a terminal, or pipe one line.")
    return line


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(user_app, name="user")
