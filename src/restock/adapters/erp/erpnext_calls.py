"""Frappe's REST interface: lists of documents, single ones, and its errors in its own format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from restock.adapters.erp.calling import Caller, Reply
from restock.adapters.erp.erpnext_records import Document
from restock.adapters.erp.interface import ErpAccessError, ErpError, ErpRefusedError, ErpReplyError

Filter = Sequence[object]
_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
# Servers bound a request's line to some 8,000 characters; names are written percent-encoded, up to three times as long.
_NAMES_CHARACTERS = 2_000
# Rows of a lookup such as units; more of them are read in further pages.
_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class FrappeSite:
    """A Frappe site behind a caller whose connections carry the token."""

    caller: Caller

    def list_documents(
        self,
        doctype: str,
        *,
        fields: Sequence[str],
        filters: Sequence[Filter] = (),
        order_by: str = "name asc",
        limit: int = _ROWS,
        start: int = 0,
        parent: str = "",
    ) -> list[Document]:
        """Return some documents; of a child table, `parent` is the doctype whose rights count."""
        query = {
            "fields": _compact(list(fields)),
            "filters": _compact([list(each) for each in filters]),
            "order_by": order_by,
            "limit_start": str(start),
            "limit_page_length": str(limit),
        }
        if parent:
            query["parent"] = parent
        rows = self._data(self.caller.call("GET", _resource(doctype), query=query), doctype)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ErpReplyError(f"{self.caller.shown} sent no list of {doctype}.")
        return rows

    def list_all(self, doctype: str, *, fields: Sequence[str], filters: Sequence[Filter] = ()) -> Iterator[Document]:
        """Yield all documents of a small doctype, page by page."""
        after = ""
        while True:
            more = [*filters, ["name", ">", after]] if after else filters
            rows = self.list_documents(doctype, fields=fields, filters=more)
            yield from rows
            if len(rows) < _ROWS:
                return
            after = str(rows[-1]["name"])

    def list_children(
        self, doctype: str, *, of: str, names: Sequence[str], fields: Sequence[str]
    ) -> dict[str, list[Document]]:
        """Return the rows of a child table by the name of the document that they belong to."""
        rows: dict[str, list[Document]] = {name: [] for name in names}
        for some in split_names(names):
            start = 0
            while True:
                found = self.list_documents(
                    doctype,
                    fields=fields,
                    filters=[["parent", "in", list(some)], ["parenttype", "=", of]],
                    order_by="parent asc, idx asc",
                    start=start,
                    parent=of,
                )
                for row in found:
                    rows.setdefault(str(row["parent"]), []).append(row)
                if len(found) < _ROWS:
                    break
                start += _ROWS
        return rows

    def get_document(self, doctype: str, name: str) -> Document | None:
        """Return a document with its child tables; None where there is none."""
        reply = self.caller.call("GET", f"{_resource(doctype)}/{quote(name, safe='')}")
        return None if reply.status == _NOT_FOUND else self._document(reply, doctype)

    def insert(self, doctype: str, values: Mapping[str, Any]) -> Document:
        """Make a document; with docstatus 1 it is submitted at once."""
        return self._document(self.caller.call("POST", _resource(doctype), body=values), doctype)

    def update(self, doctype: str, name: str, values: Mapping[str, Any]) -> Document:
        """Change a document."""
        return self._document(
            self.caller.call("PUT", f"{_resource(doctype)}/{quote(name, safe='')}", body=values), doctype
        )

    def call_method(self, method: str) -> Any:
        """Return what a whitelisted method answers."""
        reply = self.caller.call("GET", f"/api/method/{method}")
        self._require_success(reply, method)
        return reply.content.get("message") if isinstance(reply.content, dict) else None

    def _document(self, reply: Reply, doctype: str) -> Document:
        document = self._data(reply, doctype)
        if not isinstance(document, dict):
            raise ErpReplyError(f"{self.caller.shown} sent no {doctype}.")
        return document

    def _data(self, reply: Reply, what: str) -> Any:
        self._require_success(reply, what)
        if not isinstance(reply.content, dict) or "data" not in reply.content:
            raise ErpReplyError(f"{self.caller.shown} sent a reply without data for {what}. Is it an ERPNext site?")
        return reply.content["data"]

    def _require_success(self, reply: Reply, what: str) -> None:
        if reply.status < 400:
            return
        told = self.caller.without_secrets(_tell(reply.content))
        error: type[ErpError] = ErpRefusedError
        if reply.status in (_UNAUTHORISED, _FORBIDDEN):
            error = ErpAccessError
            told = f"{told}. Check RESTOCK_ERPNEXT_KEY and _SECRET, and the roles of their user"
        raise error(f"{self.caller.shown}, {what}: status {reply.status}: {told}.")


def split_names(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield names in parts that fit into a request's line."""
    part: list[str] = []
    length = 0
    for name in names:
        size = len(quote(name, safe="")) + 6
        if part and length + size > _NAMES_CHARACTERS:
            yield part
            part, length = [], 0
        part.append(name)
        length += size
    if part:
        yield part


def _resource(doctype: str) -> str:
    return f"/api/resource/{quote(doctype, safe='')}"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _tell(content: Any) -> str:
    """Return what an error of Frappe says: its messages are JSON in JSON in JSON."""
    if not isinstance(content, dict):
        return "no reason given"
    words: list[str] = []
    try:
        for each in json.loads(content.get("_server_messages") or "[]"):
            message = json.loads(each)
            words.append(str(message.get("message", "") if isinstance(message, dict) else message))
    except (TypeError, ValueError):
        words = []
    told = " ".join(filter(None, words)) or str(content.get("exception") or content.get("message") or "")
    kind = content.get("exc_type")
    return ": ".join(str(part) for part in (kind, told) if part) or "no reason given"
