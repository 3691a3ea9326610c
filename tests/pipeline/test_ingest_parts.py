"""A source read in parts comes to the same as one read at once, and one larger than memory fits."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from restock.adapters.sources.formats import build_request
from restock.adapters.storage import read_json, read_table
from restock.errors import BatchRefusedError
from restock.operations.ingest import examine_source, ingest_source
from restock.params import read_params
from restock.tables import REJECTED, SALES

ROOT = Path(__file__).resolve().parents[2]
PARAMS = read_params(ROOT / "params.yaml")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
N_ROWS, PART_ROWS = 3_000, 1_000
HEADER = "sku,location,date,units_sold\n"


def line(n, *, units="1"):
    return f"S{n % 100:03d},L{n // 3100},2024-05-{n // 100 % 31 + 1:02d},{units}"


def clean_lines():
    return [line(n, units=str(n % 7)) for n in range(N_ROWS)]


def with_few_faults():
    lines = clean_lines()
    lines[10], lines[1500], lines[2999] = line(10, units="x"), line(1500, units="-4"), "S1,L1,2024-05-01"
    return lines


def with_repeats_across_parts():
    lines = with_few_faults()
    # Rows 5 and 10 of the first part come again, the first one twice, the second one with a fault of its own.
    lines[1200], lines[2200], lines[2300] = line(5), line(5), line(10, units="-1")
    lines[2301] = line(2400)
    lines[700] = line(600)
    return lines


def with_many_faults():
    return [line(n, units="1,5" if n % 3 else "1") for n in range(N_ROWS)]


def with_a_quote():
    lines = with_few_faults()
    lines[1700] = lines[1700].replace("S000", '"S000"')
    return lines


CASES = {
    "clean": clean_lines,
    "few faults": with_few_faults,
    "repeated keys": with_repeats_across_parts,
    "many faults": with_many_faults,
    "quotes": with_a_quote,
}


def outcome(folder, text, *, part_rows, name="sales.csv"):
    """Return all that ingesting a file leaves behind, in a form that can be compared."""
    folder.mkdir()
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    data = folder / "data"
    refusal = ""
    request = build_request([path])
    try:
        ingest_source(request, PARAMS, data_dir=data, now=NOW, part_rows=part_rows)
    except BatchRefusedError as error:
        refusal = str(error).split("Report:")[0]
    batch = examine_source(request, PARAMS, now=NOW, part_rows=part_rows).batch
    accepted, rejected = data / "raw" / batch / "sales.parquet", data / "rejected" / batch / "sales.parquet"
    assert not (data / ".staging").exists()
    return {
        "refusal": refusal,
        "accepted": read_table(accepted, SALES).rows() if accepted.exists() else [],
        "rejected": read_table(rejected, REJECTED).sort("file", "line", "rule").rows() if rejected.exists() else [],
        "report": read_json(data / "reports" / "ingest" / batch / "validation.json"),
    }


def without_examples(report):
    for table in report["tables"].values():
        for expectation in table["expectations"]:
            expectation["examples"] = len(expectation["examples"])
    return report


@pytest.mark.parametrize("case", CASES)
def test_ingest_source_in_parts_comes_to_the_same_as_at_once(tmp_path, case):
    text = HEADER + "\n".join(CASES[case]()) + "\n"
    whole = outcome(tmp_path / "whole", text, part_rows=10 * N_ROWS)
    parts = outcome(tmp_path / "parts", text, part_rows=PART_ROWS)
    assert parts["refusal"] == whole["refusal"]
    assert parts["accepted"] == whole["accepted"]
    assert parts["rejected"] == whole["rejected"]
    assert without_examples(parts["report"]) == without_examples(whole["report"])


def test_ingest_source_missing_column_and_repeated_keys_in_parts_come_to_the_same(tmp_path):
    rows = [",".join(row.split(",")[:3]) for row in with_repeats_across_parts()]
    text = "\n".join(["sku,location,date", *rows]) + "\n"
    whole = outcome(tmp_path / "whole", text, part_rows=10 * N_ROWS)
    parts = outcome(tmp_path / "parts", text, part_rows=PART_ROWS)
    assert "a required column is missing" in parts["refusal"]
    assert parts["refusal"] == whole["refusal"]
    assert parts["rejected"] == whole["rejected"]
    assert without_examples(parts["report"]) == without_examples(whole["report"])


def test_ingest_source_repeated_keys_across_parts_reject_all_but_the_first(tmp_path):
    text = HEADER + "\n".join(with_repeats_across_parts()) + "\n"
    found = outcome(tmp_path / "parts", text, part_rows=PART_ROWS)
    lines = [row[2] for row in found["rejected"] if row[6] == "sales_key_unique"]
    assert lines == [702, 1202, 2202, 2302, 2402]
    assert "5 rows repeat a key that must be unique: sales.csv, line 702" in found["refusal"]


def test_ingest_source_gzip_in_parts_writes_a_row_group_a_part(tmp_path):
    text = HEADER + "\n".join(clean_lines()) + "\n"
    outcome(tmp_path / "parts", text, part_rows=PART_ROWS, name="sales.csv.gz")
    (path,) = (tmp_path / "parts" / "data" / "raw").glob("*/sales.parquet")
    from pyarrow import parquet

    assert parquet.ParquetFile(path).num_row_groups == 3


def test_ingest_source_parquet_in_parts_comes_to_the_same_as_at_once(tmp_path):
    text = HEADER + "\n".join(clean_lines()) + "\n"
    (tmp_path / "one.csv").write_text(text, encoding="utf-8")
    frame = pl.read_csv(tmp_path / "one.csv", try_parse_dates=True)
    frame.write_parquet(tmp_path / "sales.parquet", row_group_size=700)
    request = build_request([tmp_path / "sales.parquet"])
    for part_rows, data in ((PART_ROWS, tmp_path / "parts"), (10 * N_ROWS, tmp_path / "whole")):
        ingest_source(request, PARAMS, data_dir=data, now=NOW, part_rows=part_rows)
    parts, whole = (
        read_table(next((tmp_path / name / "raw").glob("*/sales.parquet")), SALES) for name in ("parts", "whole")
    )
    assert parts.equals(whole)
    assert parts.height == N_ROWS


_INGEST_AND_MEASURE = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from restock.adapters.sources.formats import build_request
from restock.operations.ingest import ingest_source
from restock.params import read_params

done = ingest_source(
    build_request([Path(sys.argv[1])]), read_params(Path(sys.argv[3])), data_dir=Path(sys.argv[2]),
    now=datetime(2024, 6, 1, 12, tzinfo=UTC),
)
print(done.rows["sales"], done.n_rejected_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ingest_source_two_gigabytes_of_sales_fit_in_one_gigabyte_of_memory(tmp_path):
    path = tmp_path / "sales.csv"
    days = pl.date_range(date(2019, 5, 1), date(2024, 4, 3), eager=True).cast(pl.String).to_list()
    n_rows, location = 0, 0
    with path.open("w", encoding="utf-8") as file:
        file.write("sku,location,date,units_sold,unit_price,is_promoted\n")
        while file.tell() < 2 << 30:
            for sku in range(500):
                start = f"SKU-{sku:06d},LOC-{location:03d},"
                file.writelines(f"{start}{day},{(sku + n) % 13},{1 + sku % 50}.99,no\n" for n, day in enumerate(days))
            n_rows, location = n_rows + 500 * len(days), location + 1
    done = subprocess.run(
        [sys.executable, "-c", _INGEST_AND_MEASURE, str(path), str(tmp_path / "data"), str(ROOT / "params.yaml")],
        capture_output=True,
        check=True,
        text=True,
    )
    accepted, rejected, peak_kib = map(int, done.stdout.split())
    assert (accepted, rejected) == (n_rows, 0)
    assert peak_kib < 1_000_000_000 // 1024
