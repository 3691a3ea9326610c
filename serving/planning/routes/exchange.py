"""Files in and out: imports with what became of every row, and exports in our columns or another system's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.responses import StreamingResponse
from pydantic import Field

from restock.errors import RestockError
from restock.operations.access import Scope
from restock.operations.exchange.export_rows import ExportFilter
from restock.operations.exchange.exporting import MEDIA_TYPES, ExportFormat, ExportRequest, export
from restock.operations.exchange.import_log import ImportRecord, list_imports, list_rejections, read_import
from restock.operations.exchange.importing import Imported, ImportRequest, import_file
from restock.operations.exchange.kinds import ExchangeKind
from restock.operations.exchange.layouts import Layout
from restock.operations.exchange.refused_rows import write_refused
from serving.planning.context import Caller, Context
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import Code, Instant, PathCode, Reply

router = APIRouter(tags=["exchange"])

# What a token must hold besides, so that a file is no way round what the other paths ask for.
_WRITE_SCOPES = {
    ExchangeKind.PRODUCTS: Scope.CATALOGUE_WRITE,
    ExchangeKind.LOCATIONS: Scope.CATALOGUE_WRITE,
    ExchangeKind.SUPPLIERS: Scope.CATALOGUE_WRITE,
    ExchangeKind.SUPPLY_TERMS: Scope.CATALOGUE_WRITE,
    ExchangeKind.PRICES: Scope.CATALOGUE_WRITE,
    ExchangeKind.STOCK: Scope.STOCK_WRITE,
    ExchangeKind.MOVEMENTS: Scope.STOCK_WRITE,
    ExchangeKind.PURCHASE_ORDERS: Scope.ORDERS_WRITE,
    ExchangeKind.CUSTOMERS: Scope.ORDERS_WRITE,
    ExchangeKind.CUSTOMER_ORDERS: Scope.ORDERS_WRITE,
}
_READ_SCOPES = {
    ExchangeKind.STOCK: Scope.STOCK_READ,
    ExchangeKind.MOVEMENTS: Scope.STOCK_READ,
    ExchangeKind.ALERTS: Scope.STOCK_READ,
    ExchangeKind.PURCHASE_ORDERS: Scope.ORDERS_READ,
    ExchangeKind.CUSTOMERS: Scope.ORDERS_READ,
    ExchangeKind.CUSTOMER_ORDERS: Scope.ORDERS_READ,
    ExchangeKind.PLANS: Scope.PLANNING_READ,
    ExchangeKind.AUDIT: Scope.AUDIT_READ,
}
_READ_BYTES = 1 << 18
_IN_MEMORY_BYTES = 8 << 20
_FILE_TYPES = ("text/csv", "application/octet-stream", *(MEDIA_TYPES[each] for each in (ExportFormat.XLSX,
               ExportFormat.PARQUET)), "application/gzip", "application/zip")  # fmt: skip
_BINARY = {"schema": {"type": "string", "format": "binary"}}


class UnsupportedUploadError(RestockError):
    """A file came wrapped in a form."""

    http_status = 415
    title = "The body must be the file itself"


class RejectionReply(Reply):
    """A row that was refused."""

    line: int = Field(description="Line of a text file, row of a sheet, number of a parquet row.")
    reason: str = Field(description="Why.")
    content: dict[str, str] = Field(description="The row, by the file's own columns.")


class ImportReply(Reply):
    """An import."""

    import_id: str | None = Field(description="Its identifier; null of a dry run.")
    kind: ExchangeKind = Field(description="What the rows are.")
    layout: Layout = Field(description="Whose columns the file has.")
    filename: str = Field(description="The file's name.")
    sha256: str = Field(description="SHA-256 of the file.")
    state: Literal["running", "done"] = Field(description="A running one goes on when the same file is sent again.")
    attempt: int = Field(description="1, and 1 more each time its refused rows were tried again.")
    n_rows: int = Field(description="Rows of the file.")
    n_written: int = Field(description="Rows that changed something.")
    n_unchanged: int = Field(description="Rows that said what was there already.")
    n_skipped: int = Field(description="Rows that are nothing to us, such as further pictures of a product.")
    n_rejected: int = Field(description="Rows that are refused.")
    columns: list[str] = Field(description="The file's own columns.")
    ignored_columns: list[str] = Field(description="Those of them that nothing reads.")
    created_at_utc: Instant = Field(description="When it came.")
    created_by: str = Field(description="Who sent it.")
    changed_at_utc: Instant = Field(description="When it went on last.")


class ImportedReply(ImportReply):
    """What became of a file."""

    is_repeated: bool = Field(description="Whether the same file was through before, and nothing changed.")
    is_resumed: bool = Field(description="Whether it went on where it had been cut off, or tried refused rows again.")
    is_dry_run: bool = Field(description="Whether nothing was kept.")
    n_judged: int = Field(description="Rows that were judged; a dry run judges the beginning of a large file.")
    rejections: list[RejectionReply] = Field(
        description="The first refused rows of a dry run; those of an import are at /imports/{import_id}/rejections."
    )


async def get_file(request: HttpRequest) -> bytes:
    """Return the body, which is the file.

    Raises:
        UnsupportedUploadError: it is a form.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise UnsupportedUploadError(
            f"the body came as {media_type}, expected the file's own bytes: --data-binary @FILE."
        )
    return await request.body()


@router.post(
    "/imports",
    status_code=201,
    summary="Import a file.",
    responses={200: {"model": ImportedReply, "description": "A dry run, or a file that was imported before."}},
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(_FILE_TYPES, _BINARY)}},
)
def post_import(
    context: Context,
    caller: Caller,
    response: Response,
    file: Annotated[bytes, Depends(get_file)],
    filename: Annotated[Code, Query(description="Its name, for people.")] = "upload",
    kind: Annotated[ExchangeKind | None, Query(description="What it holds; left out: its header tells.")] = None,
    layout: Annotated[Layout | None, Query(description="Whose columns; left out: its header tells.")] = None,
    encoding: Annotated[str, Query(max_length=40, description="Of text without a byte-order mark.")] = "utf-8",
    decimal_mark: Annotated[Literal[".", ","], Query(description="Of numbers.")] = ".",
    again: Annotated[
        bool, Query(description="Write a file anew that was imported before; not of movements, which happened once.")
    ] = False,
    dry_run: Annotated[bool, Query(description="Judge only; nothing is kept.")] = False,
) -> ImportedReply:
    """Import a CSV (also .gz or .zip), XLSX or parquet file: good rows are written, bad ones kept with line and reason.

    The same file again changes nothing, and rows that had been refused are tried again. It takes no Idempotency-Key:
    the file itself is the key.
    """
    done = import_file(
        context.engine,
        ImportRequest(
            source=file,
            filename=filename,
            kind=kind,
            layout=layout,
            encoding=encoding,
            decimal_mark=decimal_mark,
            again=again,
        ),
        actor=caller.name,
        now=context.now(),
        dry_run=dry_run,
        require=lambda found: caller.require(_WRITE_SCOPES[found]),
    )
    if done.is_dry_run or done.is_resumed or done.is_repeated:
        response.status_code = 200
    return _imported(done)


@router.get("/imports", summary="Files that were imported.")
def get_imports(context: Context, pages: Pages) -> ListReply[ImportReply]:
    """Imports, the latest first."""
    with context.reading() as connection:
        after = check_cursor(pages.after, datetime, str)
        records, following = list_imports(connection, after=after, limit=pages.limit)
    return ListReply(items=[ImportReply(**_plain(each)) for each in records], next_cursor=encode_cursor(following))


@router.get("/imports/{import_id}", summary="An import.")
def get_import(context: Context, import_id: PathCode) -> ImportReply:
    """How far an import has come, and what became of its rows."""
    with context.reading() as connection:
        return ImportReply(**_plain(read_import(connection, import_id)))


@router.get(
    "/imports/{import_id}/rejections",
    summary="Rows that an import refused.",
    responses={200: {"content": {"text/csv": _BINARY}, "description": "The rows, as JSON or as a CSV file."}},
    response_model=ListReply[RejectionReply],
)
def get_rejections(
    context: Context,
    pages: Pages,
    import_id: PathCode,
    file_format: Annotated[
        Literal["json", "csv"],
        Query(alias="format", description="csv: all of them with the file's own columns, to mend and send again."),
    ] = "json",
) -> Any:
    """Refused rows with line and reason, by line."""
    with context.reading() as connection:
        record = read_import(connection, import_id)
        after = check_cursor(pages.after, int)
        found, following = list_rejections(
            connection, import_id, after=0 if after is None else after[0], limit=pages.limit
        )
    if file_format == "csv":
        chunks = write_refused(context.engine, record)
        return _download(chunks, filename=f"refused-{import_id}.csv", media_type=MEDIA_TYPES[ExportFormat.CSV])
    items = [RejectionReply(line=each.line, reason=each.reason, content=dict(each.content)) for each in found]
    return ListReply(items=items, next_cursor=encode_cursor(None if following is None else (following,)))


@router.get(
    "/exports/{kind}",
    summary="Export rows as a file.",
    response_class=StreamingResponse,
    responses={200: {"content": {each.partition(";")[0]: _BINARY for each in MEDIA_TYPES.values()}}},
)
def get_export(
    context: Context,
    caller: Caller,
    kind: Annotated[ExchangeKind, Path(description="What.")],
    file_format: Annotated[ExportFormat, Query(alias="format", description="How it is written.")] = ExportFormat.CSV,
    layout: Annotated[Layout, Query(description="In whose columns; others than ours as csv or xlsx.")] = Layout.RESTOCK,
    sku: Annotated[Code | None, Query(description="Only of this product.")] = None,
    location: Annotated[Code | None, Query(description="Only at this location.")] = None,
    supplier: Annotated[Code | None, Query(description="Only of this supplier.")] = None,
    state: Annotated[Code | None, Query(description="Only in this state.")] = None,
    since: Annotated[Instant | None, Query(description="Only from this instant on.")] = None,
    until: Annotated[Instant | None, Query(description="Only before this instant.")] = None,
) -> StreamingResponse:
    """All rows of one state of the database; cells that a spreadsheet would run begin with an apostrophe."""
    caller.require(_READ_SCOPES.get(kind, Scope.CATALOGUE_READ))
    chosen = ExportFilter(sku=sku, location=location, supplier=supplier, state=state, since=since, until=until)
    request = ExportRequest(kind=kind, format=file_format, layout=layout, chosen=chosen)
    exported = export(context.engine, request, now=context.now())
    return _download(exported.chunks, filename=exported.filename, media_type=exported.media_type)


def _download(chunks: Iterator[bytes], *, filename: str, media_type: str) -> StreamingResponse:
    """Return a reply that sends a file which is whole: a slow reader holds no transaction, an error is still told."""
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  (closed when sent)
    try:
        for chunk in chunks:
            spool.write(chunk)
    except BaseException:
        spool.close()
        raise
    size = spool.tell()
    spool.seek(0)

    def sent() -> Iterator[bytes]:
        with spool:
            while content := spool.read(_READ_BYTES):
                yield content

    headers = {"content-disposition": f"attachment; filename={json.dumps(filename)}", "content-length": str(size)}
    return StreamingResponse(sent(), media_type=media_type, headers=headers)


def _plain(record: ImportRecord) -> dict[str, Any]:
    same = ("filename", "sha256", "attempt", "n_rows", "n_written", "n_unchanged", "n_skipped", "n_rejected")
    return {
        **{name: getattr(record, name) for name in same},
        "import_id": record.import_id or None,
        "kind": record.kind,
        "layout": Layout(record.layout),
        "state": record.state.value,
        "columns": list(record.columns),
        "ignored_columns": list(record.ignored),
        "created_at_utc": record.created_at,
        "created_by": record.created_by,
        "changed_at_utc": record.changed_at,
    }


def _imported(done: Imported) -> ImportedReply:
    return ImportedReply(
        **_plain(done.record),
        is_repeated=done.is_repeated,
        is_resumed=done.is_resumed,
        is_dry_run=done.is_dry_run,
        n_judged=done.n_judged,
        rejections=[
            RejectionReply(line=each.line, reason=each.reason, content=dict(each.content)) for each in done.rejections
        ],
    )
