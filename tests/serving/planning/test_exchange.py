from __future__ import annotations

import csv
import gzip
import io
import zipfile

import fastexcel
import polars as pl
import pytest
import xlsxwriter
from starlette.testclient import TestClient

from restock.operations.access import Principal, Role, Scope
from restock.settings import Settings
from serving.asgi import Gateway
from serving.planning.frame import build_frame

PRODUCTS = "sku,name,unit_price\nTEA,=Tea,2.50\n,Nameless,1\nJAM,Jam,dear\n"


class Files:
    """A client that sends and fetches files."""

    def __init__(self, client, role="manager"):
        self._client = client
        self._headers = {"authorization": f"Bearer {role}"}

    def send(self, content, *, media_type="text/csv", **query):
        headers = self._headers | {"content-type": media_type}
        return self._client.post("/api/v1/imports", content=content, params=query, headers=headers)

    def get(self, path, **query):
        return self._client.get(f"/api/v1{path}", params=query, headers=self._headers)


@pytest.fixture
def files(client):
    return Files(client)


def test_import_tells_what_became_of_every_row(files, operator):
    reply = files.send(PRODUCTS, filename="products.csv")
    assert reply.status_code == 201, reply.text
    done = reply.json()
    assert (done["kind"], done["layout"], done["n_rows"], done["n_written"]) == ("products", "restock", 3, 1)
    assert (done["n_rejected"], done["created_by"], done["filename"]) == (2, "the-manager", "products.csv")
    found = files.get(f"/imports/{done['import_id']}/rejections").json()
    assert [row["line"] for row in found["items"]] == [3, 4]
    assert found["items"][1]["content"] == {"sku": "JAM", "name": "Jam", "unit_price": "dear"}
    assert files.get(f"/imports/{done['import_id']}").json()["n_rejected"] == 2
    assert [each["import_id"] for each in files.get("/imports").json()["items"]] == [done["import_id"]]


def test_import_of_the_same_file_again_says_so(files):
    first = files.send("sku,name\nTEA,Tea\n").json()
    again = files.send("sku,name\nTEA,Tea\n")
    assert (again.status_code, again.json()["is_repeated"]) == (200, True)
    assert again.json()["import_id"] == first["import_id"]


def test_import_dry_run_keeps_nothing(files):
    reply = files.send(PRODUCTS, dry_run=True)
    assert (reply.status_code, reply.json()["import_id"], reply.json()["n_rejected"]) == (200, None, 2)
    assert "sku is empty" in reply.json()["rejections"][0]["reason"]
    assert files.get("/imports").json()["items"] == []


def test_rejections_as_csv_are_mended_and_sent_again(files):
    done = files.send(PRODUCTS).json()
    reply = files.get(f"/imports/{done['import_id']}/rejections", format="csv")
    assert reply.headers["content-type"].startswith("text/csv")
    assert "attachment" in reply.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows[0] == ["sku", "name", "unit_price", "reason"]
    assert rows[2][:3] == ["JAM", "Jam", "dear"]
    assert rows[2][3].startswith("line 4: unit_price is 'dear', expected")
    mended = files.send(reply.text.replace("dear", "3.20").replace(",Nameless", "NUT,Nameless"))
    assert (mended.json()["n_written"], mended.json()["ignored_columns"]) == (2, ["reason"])


def test_rejections_are_paged(files):
    done = files.send("sku,name\n" + ",x\n" * 5).json()
    path = f"/imports/{done['import_id']}/rejections"
    first = files.get(path, limit=3).json()
    rest = files.get(path, limit=3, cursor=first["next_cursor"]).json()
    assert [row["line"] for row in (*first["items"], *rest["items"])] == [2, 3, 4, 5, 6]
    assert rest["next_cursor"] is None


def test_import_of_stock_books_it_and_export_tells_it(files, operator):
    reply = files.send("sku,location,on_hand\nSCREW,STORE-1,40\nFLOUR,DC-1,2.5\n")
    assert reply.json()["n_written"] == 2, reply.text
    assert operator.on_hand("SCREW") == {"": "40"}
    exported = files.get("/exports/stock", location="DC-1")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert exported.headers["x-content-type-options"] == "nosniff"
    assert "stock-20240501T120000Z.csv" in exported.headers["content-disposition"]
    assert exported.text == "sku,location,lot,expires_on,on_hand,unit\r\nFLOUR,DC-1,,,2.500,kg\r\n"


def test_export_in_every_format_holds_the_same(files):
    files.send(PRODUCTS)
    expected = {"FLOUR", "JAM", "MILK", "SCREW", "TEA"} - {"JAM"}
    assert {row["sku"] for row in csv.DictReader(io.StringIO(files.get("/exports/products").text))} == expected
    lines = files.get("/exports/products", format="jsonl").text.splitlines()
    assert len(lines) == len(expected)
    sheet = files.get("/exports/products", format="xlsx")
    assert set(fastexcel.read_excel(sheet.content).load_sheet(0).to_polars()["sku"]) == expected
    frame = pl.read_parquet(io.BytesIO(files.get("/exports/products", format="parquet").content))
    assert set(frame["sku"]) == expected
    shop = files.get("/exports/products", layout="shopify").text
    assert "Variant SKU" in shop.splitlines()[0]
    assert "'=Tea" in shop


@pytest.mark.parametrize(
    ("kind", "query", "detail"),
    [
        ("audit", {"layout": "odoo"}, "layout odoo has no audit"),
        ("stock", {"layout": "odoo", "format": "parquet"}, "written as csv or xlsx"),
        ("stock", {"supplier": "SUP-1"}, "stock can't be chosen by supplier; they can by sku, location"),
        ("stock", {"format": "pdf"}, "format"),
        ("weather", {}, "kind"),
    ],
)
def test_export_that_can_not_be_is_refused(client, kind, query, detail):
    reply = Files(client, "admin").get(f"/exports/{kind}", **query)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert detail in reply.text


def _zip_bomb():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    return target.getvalue()


def _sparse_workbook():
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "sku")
        sheet.write(1_048_575, 16_383, "x")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "query", "detail"),
    [
        (b"", {}, "is empty, expected a header line"),
        (b"\xff\xd8\xff\xe0 a picture", {}, "are not utf-8"),
        (b"sku,name\na\x00,b\n", {}, "NUL"),
        (b"a,b\n1,2\n", {}, "is none of products"),
        (b"sku,name\nA,B\n", {"kind": "stock"}, "lacks location, on_hand"),
        (b"sku,name\nA,B\n", {"kind": "audit"}, "can be exported, not imported"),
        (b"sku,name\nA,B\n", {"layout": "odoo"}, "of layout odoo"),
        (b"sku,name\nA,B\n", {"encoding": "zlib"}, "is no text encoding"),
        (b"sku,name\nA,B\n", {"decimal_mark": "x"}, "decimal_mark"),
        (b"sku,name\nA,B\n", {"kind": "weather"}, "kind"),
        (b'sku,name\nA,"' + b"x" * 200_000 + b'"\n', {}, "field limit"),
        (gzip.compress(b"sku,name\n" + b"0,0\n" * 10_000_000), {}, "decompression bombs"),
        (_zip_bomb(), {}, "decompression bombs"),
        (_sparse_workbook(), {}, "spans 1,048,576 rows"),
        (b"PAR1 but no parquet", {}, "can't be read as parquet"),
    ],
)
def test_import_of_a_broken_or_hostile_file_is_refused(files, content, query, detail):
    reply = files.send(content, **query)
    assert reply.status_code == 422, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert detail in reply.text
    assert files.get("/imports").json()["items"] == []


def test_import_of_huge_and_mistyped_cells_refuses_those_rows(files):
    content = f"sku,name,shelf_life_days\n{'x' * 200},Long,1\nA,{'y' * 20_000},1\nB,Bread,1e9\nC,Cake,\u0661\n"
    done = files.send(content.encode()).json()
    assert (done["n_written"], done["n_rejected"]) == (1, 3)


def test_import_of_a_form_or_of_too_much_is_refused(files):
    reply = files.send(b"--x\r\n", media_type="multipart/form-data; boundary=x")
    assert (reply.status_code, reply.json()["title"]) == (415, "The body must be the file itself")
    assert files.send(b"0" * 64_000_001).status_code == 413


def test_exchange_asks_for_what_the_rows_are_as_well(client, engine, tmp_path, clock):
    class Narrow:
        def verify(self, token):
            scopes = frozenset({Scope.EXCHANGE_READ, Scope.EXCHANGE_WRITE, Scope.CATALOGUE_WRITE})
            return Principal(name="narrow", role=Role.MANAGER, scopes=scopes)

    frame = build_frame(engine, Settings(workspace=tmp_path), now=clock, verifier=Narrow())
    narrow = Files(TestClient(Gateway(None, find_frame=lambda: frame)))
    assert narrow.send("sku,name\nTEA,Tea\n").status_code == 201
    assert narrow.send("sku,location,on_hand\nSCREW,STORE-1,40\n").status_code == 403
    assert narrow.get("/exports/stock").status_code == 403
    assert Files(client, "manager").get("/exports/audit").status_code == 403
    assert Files(client, "admin").get("/exports/audit").status_code == 200


def test_import_that_is_unknown_is_not_found(files):
    assert files.get("/imports/nothing").status_code == 404
    assert files.get("/imports/nothing/rejections").status_code == 404
