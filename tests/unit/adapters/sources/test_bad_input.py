"""Bad input, end to end: each kind is read as meant, or rejected or refused with what is wrong, where and a remedy."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, datetime

import polars as pl
import pytest

from restock.adapters.sources.formats import build_request
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.workspace import project_root
from restock.errors import BatchRefusedError, DataError
from restock.operations.ingest import examine_source, ingest_source
from restock.params import read_params
from restock.pipeline.ingest import run_ingest
from restock.pipeline.validate import run_validate

PARAMS = read_params(project_root() / "params.yaml")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = "sku,location,date,units_sold"
GOOD = [f"A,L,2024-05-{day:02d},{day}" for day in range(1, 31)]
TEXT = "\n".join([HEADER, *GOOD]) + "\n"


def lines(*extra, header=HEADER, good=GOOD):
    return "\n".join([header, *good, *extra]) + "\n"


def zipped(*members, compression=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return content.getvalue()


def dates(form):
    return lines(good=[f"A,L,{datetime(2024, 5, day).strftime(form)},1" for day in range(1, 31)])  # noqa: DTZ001


def examine(folder, content, *, name="sales.csv", max_unpacked_bytes=1 << 30, **mapping):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    request = build_request([path], mapping=SourceMapping(**mapping), max_unpacked_bytes=max_unpacked_bytes)
    return examine_source(request, PARAMS, now=NOW)


HANDLED = {
    "gzip": {"content": gzip.compress(TEXT.encode()), "name": "sales.csv.gz"},
    "zip with one member": {"content": zipped(("export.csv", TEXT)), "name": "sales.zip"},
    "zip with folder and clutter": {
        "content": zipped(("in/", ""), ("in/sales.csv", TEXT), ("__MACOSX/in/._sales.csv", "x")),
        "name": "sales.zip",
    },
    "UTF-8 with byte-order mark": {"content": TEXT.encode("utf-8-sig")},
    "UTF-16 with byte-order mark": {"content": TEXT.encode("utf-16")},
    "UTF-16 big-endian with byte-order mark": {"content": b"\xfe\xff" + TEXT.encode("utf-16-be")},
    "named encoding": {"content": TEXT.replace("A,", "\u00c4,").encode("cp1252"), "encoding": "cp1252"},
    "semicolons": {"content": TEXT.replace(",", ";")},
    "tabs": {"content": TEXT.replace(",", "\t")},
    "line ends of Windows": {"content": TEXT.replace("\n", "\r\n")},
    "no line end at the end": {"content": TEXT.rstrip("\n")},
    "blank lines": {"content": TEXT.replace("\n", "\n\n")},
    "named decimal comma": {
        "content": lines(
            good=[f"A;L;2024-05-{day:02d};{day},5" for day in range(1, 31)], header=HEADER.replace(",", ";")
        ),
        "decimal": ",",
    },
    "named thousands separator": {
        "content": lines(good=[f'A,L,2024-05-{day:02d},"1,0{day:02d}.5"' for day in range(1, 31)]),
        "thousands": ",",
    },
    "named null values": {
        "content": lines(good=[f"{row},N/A" for row in GOOD], header=f"{HEADER},unit_price"),
        "null_values": ("N/A",),
    },
    "named date format": {"content": dates("%d/%m/%Y"), "date_format": "%d/%m/%Y"},
    "names of other systems": {"content": TEXT.replace(HEADER, "Item ID,Store,Day,Demand")},
    "no location": {"content": TEXT.replace(",L,", ",").replace(",location", "")},
}


@pytest.mark.parametrize("case", HANDLED)
def test_examine_source_unusual_file_is_read_as_meant(tmp_path, case):
    examined = examine(tmp_path, **HANDLED[case])
    assert examined.reasons == ()
    assert (examined.n_rows, examined.n_rejected_rows) == (30, 0)
    assert examined.tables[0].first_accepted["date"][0].isoformat() == "2024-05-01"


# What can't be read at all.
UNREADABLE = {
    "empty file": ({"content": ""}, r"sales.csv is empty, expected a header line and rows"),
    "blank file": ({"content": "\n \n"}, r"sales.csv is empty"),
    "header only": ({"content": f"{HEADER}\n"}, r"holds a header and no rows; there is nothing to ingest"),
    "duplicated header": (
        {"content": lines(header="sku,sku,date,units_sold")},
        r"sales.csv has the column 'sku' more than once. Rename",
    ),
    "other encoding": (
        {"content": lines("K\u00e4se f\u00fcr M\u00fcller,Stra\u00dfe,2024-05-31,1").encode("cp1252")},
        r"sales.csv, line 32: the bytes b'\\xe4' are not utf-8; it is likely cp1252, .*encoding: cp1252",
    ),
    "UTF-16 without byte-order mark": (
        {"content": TEXT.encode("utf-16-le")},
        r"sales.csv holds NUL characters.*UTF-16.*encoding: utf-16-le",
    ),
    "torn gzip": (
        {"content": gzip.compress(TEXT.encode())[:-20], "name": "sales.csv.gz"},
        r"sales.csv.gz can't be read",
    ),
    "gzip under the name of text": ({"content": gzip.compress(TEXT.encode())}, r"sales.csv is a gzip file, not text"),
    "zip under the name of text": ({"content": zipped(("a.csv", TEXT))}, r"sales.csv is a zip archive"),
    "parquet under the name of text": ({"content": b"PAR1xxxx"}, r"sales.csv is a parquet file"),
    "text under the name of zip": ({"content": TEXT, "name": "sales.zip"}, r"sales.zip can't be read as a zip archive"),
    "empty zip": ({"content": zipped(), "name": "sales.zip"}, r"sales.zip is empty, expected a zip archive with one"),
    "nested archive": (
        {"content": zipped(("inner.zip", b"x")), "name": "sales.zip"},
        r"sales.zip holds the archive inner.zip; archives within archives are refused. Unpack it first",
    ),
    "zip with other files": (
        {"content": zipped(("a.csv", TEXT), ("a.exe", b"x")), "name": "sales.zip"},
        r"sales.zip holds a.exe, expected only .csv, .tsv, .txt",
    ),
    "zip with several layouts": (
        {
            "content": zipped(("a.csv", TEXT), ("b.csv", f"{HEADER},unit_price\nB,L,2024-05-01,1,1\n")),
            "name": "sales.zip",
        },
        r"sales.zip/a.csv and sales.zip/b.csv differ in the columns unit_price",
    ),
    "bomb by ratio": (
        {"content": gzip.compress(b"0" * 30_000_000), "name": "sales.csv.gz"},
        r"sales.csv.gz unpacks to more than 200 times its [\d,]+ bytes, as decompression bombs do",
    ),
    "zip bomb by ratio": (
        {"content": zipped(("a.csv", b"0\n" * 15_000_000)), "name": "sales.zip"},
        r"sales.zip/a.csv unpacks to more than 200 times",
    ),
    "bomb by size": (
        {"content": gzip.compress(TEXT.encode()), "name": "sales.csv.gz", "max_unpacked_bytes": 100},
        r"sales.csv.gz unpacks to more than 100 bytes.*raise RESTOCK_MAX_UNPACKED_BYTES",
    ),
    "several small members beyond the size": (
        {"content": zipped(("a.csv", TEXT), ("b.csv", TEXT)), "name": "sales.zip", "max_unpacked_bytes": 600},
        r"unpacks to more than 600 bytes",
    ),
    "quote that does not close": ({"content": lines('"B,L,2024-05-31,1')}, r"sales.csv, line 32 .*quote"),
    "two columns that could be one": (
        {"content": TEXT.replace(HEADER, "item,product,date,units_sold")},
        r"sku could be read from 'item' or 'product'. Say which in a mapping, columns: {sku: item}",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_examine_source_unreadable_file_says_what_and_where(tmp_path, case):
    given, match = UNREADABLE[case]
    with pytest.raises(DataError, match=match):
        examine(tmp_path, **given)


# What is read, and refused as a whole.
REFUSED = {
    "decimal comma": (
        {"content": lines(*(f'B,L,2024-05-{day:02d},"{day},5"' for day in range(1, 31)))},
        r"units_sold is '1,5', expected a number.*decimal comma; say so in the mapping: decimal: \",\"",
    ),
    "decimal comma or thousands": (
        {"content": lines(*(f'B,L,2024-05-{day:02d},"{day},500"' for day in range(1, 31)))},
        r"Whether 1,500 has a decimal comma or a thousands separator is ambiguous",
    ),
    "decimal comma that splits fields": (
        {"content": lines(*(f"B,L,2024-05-{day:02d},{day},5" for day in range(1, 31)))},
        r"is '5 fields', expected 4 fields.*Where a field holds the separator.*quotes",
    ),
    "thousands separators": (
        {"content": lines(*(f'B,L,2024-05-{day:02d},"1,0{day:02d}.5"' for day in range(1, 31)))},
        r"thousands separators; name them in the mapping: thousands: \",\"",
    ),
    "thousands points": (
        {"content": lines(*(f'B,L,2024-05-{day:02d},"1.0{day:02d},5"' for day in range(1, 31)))},
        r"thousands: \"\.\" and decimal: \",\"",
    ),
    "other date format": (
        {"content": dates("%d/%m/%Y")},
        r"30 of 30 rows .*date is '01/05/2024', expected a date written %Y-%m-%d.*date_format: \"%d/%m/%Y\"",
    ),
    "American dates": ({"content": dates("%m/%d/%Y")}, r"mapping: date_format: \"%m/%d/%Y\""),
    "compact dates": ({"content": dates("%Y%m%d")}, r"date_format: \"%Y%m%d\""),
    "dates with times": ({"content": dates("%Y-%m-%d 00:00:00")}, r"date_format: \"%Y-%m-%d %H:%M:%S\""),
    "ambiguous dates": (
        {"content": lines(*(f"B,L,{day:02d}/05/2024,1" for day in range(1, 12)))},
        r"Which date 01/05/2024 means is ambiguous.*\"%d/%m/%Y\" or date_format: \"%m/%d/%Y\"",
    ),
    "mixed date formats": (
        {
            "content": lines(
                *(f"B,L,{day}.05.2024,1" for day in range(13, 28)), *(f"C,L,05/{day}/2024,1" for day in range(13, 28))
            )
        },
        r"Dates seem to be written in several formats, such as %d.%m.%Y and %m/%d/%Y",
    ),
    "empty values of a number": (
        {"content": lines(good=[f"{row},N/A" for row in GOOD], header=f"{HEADER},unit_price")},
        r"If \"N/A\" mean that there is no value.*null_values: \[\"N/A\"\]",
    ),
    "wrong types": (
        {"content": lines(*(f"B,L,2024-05-{day:02d},many" for day in range(1, 31)))},
        r"units_sold is 'many', expected a number",
    ),
    "negative quantities": (
        {"content": lines(*(f"B,L,2024-05-{day:02d},-{day}" for day in range(1, 31)))},
        r"Most break units_sold_at_least \(30\): sales.csv, line 32: units_sold is '-1', expected >= 0",
    ),
    "missing column": (
        {"content": TEXT.replace("units_sold", "units_sld")},
        r"table sales needs units_sold \(did you mean 'units_sld'\?\).*columns: {units_sold: THEIR_NAME}",
    ),
    "mixed units of measure": (
        {
            "content": lines(
                good=[f"{row},{'kg' if n % 2 else 'piece'}" for n, row in enumerate(GOOD)], header=f"{HEADER},unit"
            )
        },
        r"1 skus are counted in several units of measure \(A: kg, piece\).*Convert them to one unit",
    ),
    "repeated keys": ({"content": lines("A,L,2024-05-01,1")}, r"1 rows repeat a key .*sales.csv, line 32.*Remove them"),
    "repeated keys for want of a location": (
        {"content": lines(header="sku,filiale,date,units_sold", good=["A,L,2024-05-01,1", "A,M,2024-05-01,1"])},
        r"The file names no location.*\(filiale\) does, map it: columns: {location: THEIR_NAME}",
    ),
    "future dates": ({"content": lines("A,L,2024-06-02,1")}, r"1 rows have date in the future: sales.csv, line 32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_ingest_source_bad_batch_is_refused_with_the_remedy(tmp_path, case):
    given, match = REFUSED[case]
    examined = examine(tmp_path, **given)
    assert examined.reasons
    with pytest.raises(BatchRefusedError, match=match):
        ingest_source(examined.request, PARAMS, data_dir=tmp_path / "data", now=NOW)


# One bad line among many good ones: it alone is rejected.
REJECTED_LINES = {
    "fields too few": ("B,L,2024-05-01", "line_fields", "3 fields"),
    "fields too many": ("B,L,2024-05-01,1,2", "line_fields", "5 fields"),
    "NaN": ("B,L,2024-05-01,NaN", "units_sold_finite", "NaN"),
    "infinite": ("B,L,2024-05-01,inf", "units_sold_finite", "inf"),
    "NULL for a number": ("B,L,2024-05-01,NULL", "units_sold_type", "NULL"),
    "N/A for a number": ("B,L,2024-05-01,N/A", "units_sold_type", "N/A"),
    "NULL for a sku": ("NULL,L,2024-05-01,1", "sku_present", "NULL"),
    "#N/A for a sku": ("#N/A,L,2024-05-01,1", "sku_present", "#N/A"),
    "nothing for a number": ("B,L,2024-05-01,", "units_sold_present", ""),
    "negative quantity": ("B,L,2024-05-01,-2", "units_sold_at_least", "-2"),
    "text for a number": ("B,L,2024-05-01,two", "units_sold_type", "two"),
    "other date format": ("B,L,01.05.2024,1", "date_type", "01.05.2024"),
    "impossible date": ("B,L,2024-02-30,1", "date_type", "2024-02-30"),
    "two-digit year": ("B,L,24-05-01,1", "date_type", "24-05-01"),
}


@pytest.mark.parametrize("case", REJECTED_LINES)
def test_examine_source_bad_line_alone_is_rejected_with_where_and_why(tmp_path, case):
    line, rule, value = REJECTED_LINES[case]
    many = [f"G{n},L,2024-05-{day:02d},1" for n in range(2) for day in range(1, 31)]
    examined = examine(tmp_path, lines(*many[:29], line, *many[29:]))
    assert examined.reasons == ()
    (found,) = examined.tables[0].first_rejected.iter_rows(named=True)
    assert (found["file"], found["line"], found["rule"], found["value"]) == ("sales.csv", 61, rule, value)
    assert found["reason"]


def test_examine_source_zip_with_several_members_reads_each_with_its_lines(tmp_path):
    content = zipped(("b.csv", TEXT.replace("A,", "B,")), ("a.csv", lines("A,L,2024-05-31,x")))
    examined = examine(tmp_path, content, name="sales.zip")
    assert (examined.n_rows, examined.n_rejected_rows) == (61, 1)
    assert examined.tables[0].first_rejected.select("file", "line").rows() == [("sales.zip/a.csv", 32)]


def test_run_validate_unknown_sku_names_the_near_one(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "sales.csv").write_text(TEXT.replace("A,", "SKU-0O1,"), encoding="utf-8")
    (tmp_path / "in" / "products.csv").write_text("sku,name,category_path\nSKU-001,a,x\n", encoding="utf-8")
    data = tmp_path / "data"
    ingest_source(build_request([tmp_path / "in"]), PARAMS, data_dir=data, now=NOW)
    run_ingest(data, PARAMS, now=NOW)
    figures = run_validate(data, PARAMS, today=NOW.date())
    assert figures["unknown"]["sku"] == 1
    assert "such as SKU-0O1 (near SKU-001)" in caplog.text


def test_examine_source_parquet_of_wrong_types_is_refused(tmp_path):
    frame = pl.DataFrame({"sku": ["A"], "location": ["L"], "date": [20240501], "units_sold": [1]})
    frame.write_parquet(tmp_path / "sales.parquet")
    examined = examine_source(build_request([tmp_path / "sales.parquet"]), PARAMS, now=NOW)
    assert "date is '20240501', expected a date" in examined.reasons[0]
