"""Odoo's JSON-RPC interface: authentication, calls of models' methods, and its errors in its own format."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from restock.adapters.erp.calling import Caller
from restock.adapters.erp.interface import (
    ErpAccessError,
    ErpFaultError,
    ErpRefusedError,
    ErpReplyError,
)

Row = Mapping[str, Any]
Term = str | Sequence[object]

_ACCESS = frozenset({"odoo.exceptions.AccessDenied", "odoo.exceptions.AccessError"})
_REFUSED = frozenset(
    {
        *("odoo.exceptions.UserError", "odoo.exceptions.ValidationError", "odoo.exceptions.MissingError"),
        *("odoo.exceptions.RedirectWarning", "builtins.ValueError"),
        *("psycopg2.errors.UniqueViolation", "psycopg2.errors.NotNullViolation", "psycopg2.errors.CheckViolation"),
    }
)
# Archived records are there too; names and instants are the same for everyone.
_CONTEXT = {"active_test": False, "lang": "en_US", "tz": "UTC"}


@dataclass(eq=False)
class OdooDatabase:
    """A database of an Odoo server, used as one of its users; an API key takes the place of the password."""

    caller: Caller
    database: str
    username: str
    password: str = field(repr=False)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1), init=False, repr=False)

    @cached_property
    def user(self) -> int:
        """The user's number, once Odoo knows the credentials.

        Raises:
            ErpAccessError: it does not.
        """
        found = self._call("common", "authenticate", [self.database, self.username, self.password, {}])
        if not isinstance(found, int) or isinstance(found, bool):
            raise ErpAccessError(
                f"{self.caller.shown} does not know these credentials. Check RESTOCK_ODOO_DATABASE, _USERNAME and "
                "_PASSWORD; the password may be an API key."
            )
        return found

    def execute(self, model: str, method: str, *args: object, context: Row | None = None, **options: object) -> Any:
        """Return what a method of a model answers."""
        options["context"] = {**_CONTEXT, **(context or {})}
        called = [self.database, self.user, self.password, model, method, list(args), options]
        return self._call("object", "execute_kw", called, what=f"{model}.{method}")

    def search_read(
        self,
        model: str,
        domain: Sequence[Term],
        *,
        fields: Sequence[str],
        order: str = "id asc",
        limit: int | None = None,
    ) -> list[Row]:
        """Return the records that a domain finds."""
        rows = self.execute(
            # Odoo reads false as no limit.
            *(model, "search_read", list(domain)),
            fields=list(fields),
            order=order,
            limit=limit or False,
        )
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
            raise ErpReplyError(f"{self.caller.shown} sent no list of {model}.")
        return rows

    def known_fields(self, model: str, names: Sequence[str]) -> frozenset[str]:
        """Return which of these fields a model has here: they differ between Odoo's versions."""
        found = self.execute(model, "fields_get", list(names), attributes=["type"])
        return frozenset(found) & frozenset(names)

    def _call(self, service: str, method: str, args: Sequence[object], *, what: str = "") -> Any:
        body = {
            "jsonrpc": "2.0",
            "method": "call",
            "params": {"service": service, "method": method, "args": list(args)},
            "id": next(self._numbers),
        }
        reply = self.caller.call("POST", "/jsonrpc", body=body)
        content = reply.content
        if reply.status >= 400 or not isinstance(content, dict):
            raise ErpReplyError(
                f"{self.caller.shown} answered with status {reply.status} and no JSON-RPC reply. Is it an Odoo server?"
            )
        if content.get("error"):
            raise self._as_error(content["error"], what=what or method)
        # Odoo leaves the result out where a method returns nothing.
        return content.get("result")

    def _as_error(self, error: Any, *, what: str) -> Exception:
        data = error.get("data") if isinstance(error, dict) else None
        data = data if isinstance(data, dict) else {}
        name = str(data.get("name", ""))
        told = self.caller.without_secrets(" ".join(str(data.get("message") or "no reason given").split()))
        words = f"{self.caller.shown}, {what}: {name.rpartition('.')[2] or 'error'}: {told}."
        if name in _ACCESS:
            return ErpAccessError(f"{words} Check RESTOCK_ODOO_USERNAME and _PASSWORD, and the user's groups.")
        return ErpRefusedError(words) if name in _REFUSED else ErpFaultError(words)
