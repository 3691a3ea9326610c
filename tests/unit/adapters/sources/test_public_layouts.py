"""Kaggle's M5 and UCI's Online Retail, in small files of their published shape and in slices of the real ones."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from restock.adapters.sources import m5, uci_online_retail
from restock.adapters.sources.formats import build_request, infer_format, open_source, read_source
from restock.adapters.sources.requests import SourceFormat
from restock.adapters.workspace import project_root
from restock.errors import DataError
from restock.operations.row_judgement import judge_rows
from restock.params import read_params

PARAMS = read_params(project_root() / "params.yaml")
TODAY = date(2026, 1, 1)
DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
M5 = DATA / "m5_walmart_last8weeks"
UCI = DATA / "uci_online_retail"


def accepted(raws):
    judged = {raw.table.name: judge_rows(raw, today=TODAY) for raw in raws}
    assert all(item.n_rejected_rows == 0 for item in judged.values())
    return {name: item.accepted for name, item in judged.items()}


def write_kaggle(folder, *, prices="CA_1,X_1_001,11102,2.50\nCA_1,X_1_002,11101,1.00\nCA_1,X_1_002,11102,1.25\n"):
    folder.mkdir(exist_ok=True)
    events = "event_name_1,event_type_1,event_name_2,event_type_2"
    calendar = [f"date,wm_yr_wk,weekday,wday,month,year,d,{events},snap_CA,snap_TX,snap_WI"]
    for n in range(1, 15):
        event = "SuperBowl,Sporting,," if n == 9 else ",,,"
        calendar.append(f"2011-02-{n:02d},{11101 + (n > 7)},x,1,2,2011,d_{n},{event},{int(n == 1)},0,0")
    days = ",".join(f"d_{n}" for n in range(1, 15))
    sales = [f"id,item_id,dept_id,cat_id,store_id,state_id,{days}"]
    for item in (1, 2, 3):
        units = ",".join(str(item * n) for n in range(1, 15))
        sales.append(f"X_1_00{item}_CA_1_evaluation,X_1_00{item},X_1,X,CA_1,CA,{units}")
    (folder / "sales_train_evaluation.csv").write_text("\n".join(sales) + "\n", encoding="utf-8")
    (folder / "sell_prices.csv").write_text(f"store_id,item_id,wm_yr_wk,sell_price\n{prices}", encoding="utf-8")
    (folder / "calendar.csv").write_text("\n".join(calendar) + "\n", encoding="utf-8")
    return folder


def test_read_m5_kaggle_weeks_before_the_first_price_are_left_out(tmp_path):
    request = build_request([write_kaggle(tmp_path)])
    assert request.format is SourceFormat.M5_KAGGLE
    tables = accepted(read_source(request, PARAMS).tables)
    sales = tables["sales"]
    assert sales.height == 7 + 14
    assert sales.row(0)[:5] == ("X_1_001", "CA_1", date(2011, 2, 8), 8.0, 2.5)
    assert sales.filter(pl.col("sku") == "X_1_002")["unit_price"].to_list() == [1.0] * 7 + [1.25] * 7
    assert tables["products"]["sku"].to_list() == ["X_1_001", "X_1_002", "X_1_003"]
    assert tables["calendar"].filter(pl.col("is_holiday"))["event"].to_list() == ["SuperBowl"]


def test_read_m5_kaggle_parts_hold_whole_series_and_their_lines(tmp_path):
    parts = list(open_source(build_request([write_kaggle(tmp_path)]), PARAMS, part_rows=14).parts)
    sales = [part for part in parts if part.table.name == "sales"]
    assert [part.frame["__line"].unique().to_list() for part in sales] == [[2], [3], []]


def test_read_m5_kaggle_missing_column_is_named(tmp_path):
    folder = write_kaggle(tmp_path)
    (folder / "sell_prices.csv").write_text("store_id,item_id,wm_yr_wk\nCA_1,X,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"sell_prices.csv has no column sell_price"):
        read_source(build_request([folder]), PARAMS)


def test_read_m5_kaggle_prices_of_other_series_are_refused(tmp_path):
    folder = write_kaggle(tmp_path, prices="CA_9,OTHER,11101,1.0\n")
    with pytest.raises(DataError, match="has no price of any series"):
        read_source(build_request([folder]), PARAMS)


@pytest.mark.skipif(not M5.is_dir(), reason=f"{M5} is not here")
def test_read_m5_kaggle_comes_to_the_same_as_the_compact_layout(tmp_path):
    n_series, compact, kaggle = 20, tmp_path / "compact", tmp_path / "kaggle"
    compact.mkdir()
    kaggle.mkdir()
    for name in ("sales_d1886_d1941.parquet", "series.parquet"):
        pl.scan_parquet(M5 / name).head(n_series).collect().write_parquet(compact / name)
    prices = pl.scan_parquet(M5 / "sell_prices.parquet").filter(pl.col("series_row") < n_series).collect()
    prices.write_parquet(compact / "sell_prices.parquet")
    for folder in (compact, kaggle):
        shutil.copy(M5 / "calendar.csv", folder)
    series = pl.read_parquet(compact / "series.parquet").with_row_index("series_row")
    wide = pl.read_parquet(compact / "sales_d1886_d1941.parquet")
    ids = series.select("id", "item_id", "dept_id", "cat_id", "store_id", "state_id")
    ids.join(wide, on="id", maintain_order="left").write_csv(kaggle / "sales_train_evaluation.csv")
    named = prices.with_columns(pl.col("series_row").cast(pl.UInt32)).join(series, on="series_row")
    named.select("store_id", "item_id", "wm_yr_wk", sell_price=pl.col("sell_price_cents") / 100).write_csv(
        kaggle / "sell_prices.csv"
    )
    ours = accepted(m5.read_m5({name: compact / name for name in m5.FILES}))
    theirs = accepted(read_source(build_request([kaggle]), PARAMS).tables)
    for name in ("sales", "products", "locations", "calendar"):
        assert theirs[name].equals(ours[name])


LINES = [
    ("536365", "85123A", "HOLDER", 6, "2010-12-01 08:26:00", 2.5, "17850", "United Kingdom"),
    ("536366", "85123A", "HOLDER", 2, "2010-12-01 09:00:00", 4.5, "", "France"),
    ("C536379", "85123A", "HOLDER", -1, "2010-12-02 09:41:00", 2.5, "14527", "United Kingdom"),
    ("536589", "21777", "damaged", -10, "2010-12-02 16:50:00", 0.0, "", "United Kingdom"),
    ("536590", "21777", "found", 4, "2010-12-02 16:51:00", 0.0, "", "United Kingdom"),
    ("536591", "21777", "PLATE", 3, "2010-12-02 16:52:00", 0.0, "12345", "United Kingdom"),
    ("A563185", "B", "Adjust bad debt", 1, "2010-12-03 14:50:00", -11062.06, "", "United Kingdom"),
    ("536592", "POST", "POSTAGE", 1, "2010-12-03 15:00:00", 18.0, "12345", "France"),
]


def write_uci(path):
    frame = pl.DataFrame(LINES, schema=list(uci_online_retail.COLUMNS), orient="row")
    if path.suffix == ".parquet":
        frame.with_columns(pl.col("InvoiceDate").str.to_datetime()).write_parquet(path)
    elif path.suffix == ".xlsx":
        frame.with_columns(pl.col("InvoiceDate").str.to_datetime()).write_excel(path)
    else:
        moment = pl.col("InvoiceDate").str.to_datetime().dt.strftime("%m/%d/%Y %H:%M")
        frame.with_columns(moment).write_csv(path)
    return path


@pytest.mark.parametrize("name", ["Online Retail.xlsx", "online_retail.csv", "online_retail.parquet"])
def test_read_uci_online_retail_lines_become_sales_and_movements(tmp_path, name):
    request = build_request([write_uci(tmp_path / name)])
    assert request.format is SourceFormat.UCI_ONLINE_RETAIL
    tables = accepted(read_source(request, PARAMS).tables)
    assert tables["sales"].select("sku", "location", "date", "units_sold", "unit_price").rows() == [
        ("85123A", "online", date(2010, 12, 1), 8.0, 3.0),
        ("POST", "online", date(2010, 12, 3), 1.0, 18.0),
    ]
    moved = tables["movements"].select("occurred_at_utc", "sku", "kind", "quantity", "unit_price", "reference").rows()
    assert moved == [
        (datetime(2010, 12, 1, 8, 26, tzinfo=UTC), "85123A", "sale", -6.0, 2.5, "536365"),
        (datetime(2010, 12, 1, 9, 0, tzinfo=UTC), "85123A", "sale", -2.0, 4.5, "536366"),
        (datetime(2010, 12, 2, 9, 41, tzinfo=UTC), "85123A", "return", 1.0, 2.5, "RET-C536379"),
        (datetime(2010, 12, 2, 16, 50, tzinfo=UTC), "21777", "adjustment", -10.0, 0.0, "ADJ-536589"),
        (datetime(2010, 12, 2, 16, 51, tzinfo=UTC), "21777", "adjustment", 4.0, 0.0, "ADJ-536590"),
        (datetime(2010, 12, 2, 16, 52, tzinfo=UTC), "21777", "adjustment", -3.0, 0.0, "ADJ-536591"),
        (datetime(2010, 12, 3, 15, 0, tzinfo=UTC), "POST", "sale", -1.0, 18.0, "536592"),
    ]
    categories = dict(tables["products"].select("sku", "category_path").iter_rows())
    assert categories == {"21777": "giftware", "85123A": "giftware", "B": "services", "POST": "services"}
    assert tables["locations"].select("location", "kind").rows() == [("online", "warehouse")]


def test_read_uci_online_retail_any_file_name_where_the_format_is_given(tmp_path):
    path = write_uci(tmp_path / "export.csv")
    request = build_request([path], source_format=SourceFormat.UCI_ONLINE_RETAIL)
    assert read_source(request, PARAMS).tables[0].frame.height == 2
    assert infer_format([path]) is SourceFormat.CSV


def test_read_uci_online_retail_missing_column_is_named(tmp_path):
    (tmp_path / "online_retail.csv").write_text("InvoiceNo,StockCode\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column Description, Quantity, InvoiceDate"):
        read_source(build_request([tmp_path]), PARAMS)


@pytest.mark.skipif(not UCI.is_dir(), reason=f"{UCI} is not here")
def test_read_uci_online_retail_real_file_accounts_for_every_line():
    (path,) = UCI.glob("*.parquet")
    lines = pl.read_parquet(path)
    tables = accepted(read_source(build_request([path]), PARAMS).tables)
    priced = lines.filter(pl.col("Quantity") > 0, pl.col("UnitPrice") > 0)
    assert tables["sales"]["units_sold"].sum() == priced["Quantity"].sum()
    assert tables["movements"].height == lines.filter(pl.col("UnitPrice") >= 0, pl.col("Quantity") != 0).height
    kinds = dict(tables["movements"]["kind"].value_counts().iter_rows())
    cancelled = lines.filter(pl.col("InvoiceNo").cast(pl.String).str.starts_with("C")).height
    adjusted = tables["movements"].height - priced.height - cancelled
    assert kinds == {"sale": priced.height, "return": cancelled, "adjustment": adjusted}
    assert set(tables["products"]["sku"]) >= set(tables["sales"]["sku"])
