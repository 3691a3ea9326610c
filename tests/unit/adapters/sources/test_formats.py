from __future__ import annotations

import polars as pl
import pytest

from restock.adapters.batch_files import name_batch
from restock.adapters.sources.formats import build_request, identify_source, read_source
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.requests import SourceFormat
from restock.adapters.workspace import project_root
from restock.errors import DataError
from restock.params import read_params

PARAMS = read_params(project_root() / "params.yaml")
SALES_TEXT = "sku,location,date,units_sold\nA,L,2024-01-01,1\n"


def write(tmp_path, name, text=SALES_TEXT):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def batch_of(request, params=PARAMS):
    return name_batch(identify_source(request, params))


def test_build_request_folder_of_tables_tells_each_by_its_name(tmp_path):
    write(tmp_path, "sales.csv")
    write(tmp_path, "products.csv", "sku,name,category_path\nA,a,x\n")
    write(tmp_path, "readme.md")
    contents = read_source(build_request([tmp_path]), PARAMS)
    assert [raw.table.name for raw in contents.tables] == ["sales", "products"]


def test_build_request_file_name_tells_the_table(tmp_path):
    request = build_request([write(tmp_path, "sales.2024.csv")])
    assert request.format is SourceFormat.CSV
    assert read_source(request, PARAMS).tables[0].table.name == "sales"


def test_build_request_unknown_table_name_asks_for_it(tmp_path):
    with pytest.raises(DataError, match=r"which table till.csv holds can't be told.*--table"):
        build_request([write(tmp_path, "till.csv")])


def test_build_request_wrong_table_lists_the_tables(tmp_path):
    with pytest.raises(DataError, match=r"'sale' is not a table.*sales, calendar"):
        build_request([write(tmp_path, "till.csv")], table="sale")


def test_build_request_mixed_formats_asks_for_one(tmp_path):
    write(tmp_path, "sales.csv")
    pl.DataFrame({"sku": ["A"]}).write_parquet(tmp_path / "products.parquet")
    with pytest.raises(DataError, match="both CSV and parquet"):
        build_request([tmp_path])


def test_build_request_no_known_file_says_so(tmp_path):
    write(tmp_path, "readme.md")
    with pytest.raises(DataError, match="can't be told"):
        build_request([tmp_path])


def test_build_request_missing_path_says_so(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        build_request([tmp_path / "none.csv"])


def test_build_request_no_source_points_to_the_demo():
    with pytest.raises(DataError, match="restock ingest demo"):
        build_request([])


def test_build_request_demo_with_a_path_is_refused(tmp_path):
    with pytest.raises(DataError, match="no files"):
        build_request([tmp_path], source_format=SourceFormat.DEMO)


def test_build_request_layout_lacking_a_file_names_it(tmp_path):
    write(tmp_path, "daily_train.parquet", "")
    with pytest.raises(DataError, match=r"lacks series.parquet, calendar_holidays.parquet"):
        build_request([tmp_path])


def test_build_request_layout_with_a_mapping_is_refused(tmp_path):
    write(tmp_path, "daily_train.parquet", "")
    with pytest.raises(DataError, match="fixed tables"):
        build_request([tmp_path], mapping=SourceMapping(decimal=","))


def test_build_request_same_base_names_are_told_apart(tmp_path):
    paths = [write(tmp_path, "a/sales.csv"), write(tmp_path, "b/sales.csv")]
    assert list(build_request(paths).files) == ["a/sales.csv", "b/sales.csv"]


def test_identify_source_depends_on_content_and_mapping_but_not_on_the_place(tmp_path):
    first = batch_of(build_request([write(tmp_path, "a/sales.csv")]))
    assert batch_of(build_request([write(tmp_path, "b/sales.csv")])) == first
    assert batch_of(build_request([write(tmp_path, "c/sales.csv", f"{SALES_TEXT}B,L,2024-01-01,1\n")])) != first
    mapped = build_request([tmp_path / "a" / "sales.csv"], mapping=SourceMapping(constants={"is_promoted": True}))
    assert batch_of(mapped) != first


def test_identify_source_demo_depends_on_seed_and_size():
    request = build_request([], source_format=SourceFormat.DEMO)
    first = batch_of(request)
    assert batch_of(request) == first
    assert batch_of(request, PARAMS.model_copy(update={"seed": 7})) != first
    smaller = PARAMS.simulation.model_copy(update={"n_skus": 9})
    assert batch_of(request, PARAMS.model_copy(update={"simulation": smaller})) != first


def test_read_source_files_of_one_table_are_joined(tmp_path):
    other = write(tmp_path, "b/sales.csv", "units_sold,date,location,sku\n2,2024-01-02,L,A\n")
    raw = read_source(build_request([write(tmp_path, "a/sales.csv"), other]), PARAMS).tables[0]
    assert raw.frame["units_sold"].to_list() == ["1", "2"]
    assert raw.frame["__file"].to_list() == ["a/sales.csv", "b/sales.csv"]


def test_read_source_files_with_other_columns_are_refused(tmp_path):
    other = write(tmp_path, "b/sales.csv", "sku,location,date,units_sold,unit_price\nA,L,2024-01-02,2,1\n")
    with pytest.raises(DataError, match="differ in the columns unit_price"):
        read_source(build_request([write(tmp_path, "a/sales.csv"), other]), PARAMS)


def test_read_source_file_that_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"sales.parquet can't be read as parquet"):
        read_source(build_request([write(tmp_path, "sales.parquet")]), PARAMS)
