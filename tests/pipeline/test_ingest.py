"""Sources become batches, whole or not at all, once; a refused one leaves the last good data in use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from restock.adapters.batch_files import read_batches
from restock.adapters.sources.formats import build_request
from restock.adapters.sources.requests import SourceFormat
from restock.adapters.storage import checksums_of, read_json, read_table
from restock.adapters.workspace import create_workspace
from restock.errors import BatchRefusedError, DataError, NotFoundError
from restock.operations.ingest import BatchStatus, examine_source, ingest_source
from restock.params import read_params
from restock.pipeline.ingest import run_ingest
from restock.tables import REJECTED, SALES, SOURCE_TABLES

ROOT = Path(__file__).resolve().parents[2]
PARAMS = read_params(ROOT / "params.yaml")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
STEPS = ("reported", "truth_written", "written", "renamed", "tracked", "listed")


def sales_text(n_days=31, *, extra=(), header="sku,location,date,units_sold"):
    rows = [f"{sku},L1,2024-05-{day:02d},{day % 4}" for sku in ("A", "B", "C", "D") for day in range(1, n_days + 1)]
    return "\n".join([header, *rows, *extra]) + "\n"


def write(folder, text, name="sales.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def ingest(data_dir, path, **options):
    request = build_request([path])
    return ingest_source(request, PARAMS, data_dir=data_dir, now=NOW, **options)


def test_ingest_source_new_file_becomes_a_batch(tmp_path):
    data = tmp_path / "data"
    done = ingest(data, write(tmp_path, sales_text()))
    assert done.status is BatchStatus.ACCEPTED
    assert done.rows == {"sales": 124}
    folder = data / "raw" / done.batch
    assert read_table(folder / "sales.parquet", SALES).height == 124
    described = read_json(folder / "batch.json")
    assert described["sources"] == ["sales.csv"]
    assert described["created_at_utc"] == "2024-06-01T12:00:00+00:00"
    assert described["expectations_met"] is True
    assert read_batches(data) == [{"id": done.batch, "tables": described["tables"]}]
    assert str(tmp_path) not in (folder / "batch.json").read_text(encoding="utf-8")


def test_ingest_source_same_content_twice_changes_nothing(tmp_path):
    data = tmp_path / "data"
    first = ingest(data, write(tmp_path / "one", sales_text()))
    before = checksums_of(data)
    second = ingest(data, write(tmp_path / "two", sales_text()))
    assert (second.batch, second.status) == (first.batch, BatchStatus.UNCHANGED)
    assert checksums_of(data) == before


def test_ingest_source_few_bad_rows_are_kept_as_rejected(tmp_path):
    data = tmp_path / "data"
    done = ingest(data, write(tmp_path, sales_text(extra=["E,L1,2024-05-01,x", "E,L1,2024-05-02"])))
    assert (done.rows, done.n_rejected_rows) == ({"sales": 124}, 2)
    rejected = read_table(data / "rejected" / done.batch / "sales.parquet", REJECTED)
    assert rejected.select("line", "rule", "value").rows() == [
        (126, "units_sold_type", "x"),
        (127, "line_fields", "3 fields"),
    ]
    page = done.report.read_text(encoding="utf-8")
    assert "units_sold_type" in page
    assert "://" not in page


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (sales_text(extra=["E,L1,2024-05-01,x"] * 4), r"of 128 rows \(3.12%\) are rejected, more than the 2.00%"),
        (sales_text(header="code,location,date,units_sold"), "a required column is missing: table sales needs sku"),
        (sales_text(extra=["A,L1,2024-05-01,1"]), r"1 rows repeat a key .*sales.csv, line 126"),
        (sales_text(extra=["A,L1,2024-06-02,1"]), r"1 rows have date in the future: sales.csv, line 126"),
    ],
    ids=["rejected share", "missing key column", "duplicate keys", "future dates"],
)
def test_ingest_source_critical_expectation_broken_leaves_the_last_good_data(tmp_path, text, match):
    data = tmp_path / "data"
    ingest(data, write(tmp_path / "good", sales_text(n_days=10)))
    kept = {name: digest for name, digest in checksums_of(data).items() if not name.startswith("reports")}
    bad = write(tmp_path / "bad", text)
    with pytest.raises(BatchRefusedError, match=match) as caught:
        ingest(data, bad)
    assert caught.value.exit_code == 3
    after = checksums_of(data)
    assert {name: after[name] for name in kept} == kept
    assert [path.name for path in (data / "raw").iterdir()] == [read_batches(data)[0]["id"]]
    refused = examine_source(build_request([bad]), PARAMS, now=NOW)
    report = read_json(data / "reports" / "ingest" / refused.batch / "validation.json")
    assert report["verdict"] == "refused"
    assert (data / "reports" / "ingest" / refused.batch / "report.html").is_file()
    assert (data / "rejected" / refused.batch / "sales.parquet").is_file() == (refused.n_rejected_rows > 0)


def test_ingest_source_file_without_rows_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="nothing to ingest"):
        ingest(tmp_path / "data", write(tmp_path, "sku,location,date,units_sold\n"))


def test_examine_source_writes_nothing(tmp_path):
    path = write(tmp_path, sales_text())
    examined = examine_source(build_request([path]), PARAMS, now=NOW)
    assert examined.reasons == ()
    assert [entry.name for entry in tmp_path.iterdir()] == ["sales.csv"]


_KILLED_INGEST = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from restock.adapters.sources.formats import build_request
from restock.operations.ingest import ingest_source
from restock.params import read_params

def stop(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

ingest_source(
    build_request([Path(sys.argv[1])]), read_params(Path(sys.argv[4])), data_dir=Path(sys.argv[2]),
    now=datetime(2024, 6, 1, 12, tzinfo=UTC), after_step=stop,
)
"""


def ingest_killed_after(step, data_dir, path):
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_INGEST, str(path), str(data_dir), step, str(ROOT / "params.yaml")],
        env=os.environ | {"GX_ANALYTICS_ENABLED": "false"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("step", STEPS)
def test_ingest_source_killed_after_a_step_is_completed_by_the_next(tmp_path, step):
    data = tmp_path / "data"
    good = ingest(data, write(tmp_path / "good", sales_text(n_days=10)))
    path = write(tmp_path / "next", sales_text())
    ingest_killed_after(step, data, path)
    listed = [entry["id"] for entry in read_batches(data)]
    assert listed[0] == good.batch
    run_ingest(data, PARAMS, now=NOW)
    done = ingest(data, path)
    expected = {"renamed": BatchStatus.COMPLETED, "tracked": BatchStatus.COMPLETED, "listed": BatchStatus.UNCHANGED}
    assert done.status is expected.get(step, BatchStatus.ACCEPTED)
    assert [entry["id"] for entry in read_batches(data)] == [good.batch, done.batch]
    assert sorted(entry.name for entry in (data / "raw").iterdir()) == sorted([good.batch, done.batch])
    assert read_table(data / "raw" / done.batch / "sales.parquet", SALES).height == 124


def test_ingest_source_unlisted_batch_in_pieces_is_written_anew(tmp_path):
    data = tmp_path / "data"
    path = write(tmp_path, sales_text())
    ingest_killed_after("renamed", data, path)
    (folder,) = (data / "raw").iterdir()
    (folder / "sales.parquet").unlink()
    assert ingest(data, path).status is BatchStatus.ACCEPTED
    assert (folder / "sales.parquet").is_file()


def test_ingest_source_in_a_dvc_workspace_is_tracked_even_after_a_kill(tmp_path):
    workspace = tmp_path / "workspace"
    create_workspace(workspace)
    data = workspace / "data"
    path = write(tmp_path, sales_text(extra=["E,L1,2024-05-01,x"]))
    ingest_killed_after("renamed", data, path)
    assert not list((data / "raw").glob("*.dvc"))
    done = ingest(data, path)
    assert done.status is BatchStatus.COMPLETED
    assert (data / "raw" / f"{done.batch}.dvc").is_file()
    assert (data / "rejected" / f"{done.batch}.dvc").is_file()


def test_ingest_source_listed_batch_whose_files_are_gone_is_brought_back(tmp_path):
    workspace = tmp_path / "workspace"
    create_workspace(workspace)
    data = workspace / "data"
    path = write(tmp_path, sales_text())
    done = ingest(data, path)
    listed = read_batches(data)
    shutil.rmtree(data / "raw" / done.batch)
    assert ingest(data, path).status is BatchStatus.ACCEPTED
    assert read_batches(data) == listed
    run_ingest(data, PARAMS, now=NOW)


def test_run_ingest_lists_batches_the_same_way_every_time(tmp_path):
    data = tmp_path / "data"
    done = ingest(data, write(tmp_path, sales_text()))
    run_ingest(data, PARAMS, now=NOW)
    first = (data / "manifest.json").read_bytes()
    run_ingest(data, PARAMS, now=datetime(2025, 1, 1, tzinfo=UTC))
    assert (data / "manifest.json").read_bytes() == first
    assert read_json(data / "manifest.json")["batches"][0]["id"] == done.batch


def test_run_ingest_listed_batch_that_is_not_here_says_how_to_fetch_it(tmp_path):
    data = tmp_path / "data"
    done = ingest(data, write(tmp_path, sales_text()))
    (data / "raw" / done.batch / "sales.parquet").unlink()
    with pytest.raises(NotFoundError, match=rf"dvc pull data/raw/{done.batch}.dvc"):
        run_ingest(data, PARAMS, now=NOW)


def test_run_ingest_empty_list_brings_the_demo_company_with_its_truth_apart(tmp_path, caplog):
    data = tmp_path / "data"
    simulation = PARAMS.simulation.model_copy(update={"n_skus": 6, "n_stores": 2, "n_days": 150})
    small = PARAMS.model_copy(update={"simulation": simulation, "seed": 5})
    now = datetime(2025, 1, 1, tzinfo=UTC)
    manifest = run_ingest(data, small, now=now)
    (batch,) = manifest["batches"]
    assert set(batch["tables"]) == set(SOURCE_TABLES)
    assert read_json(data / "raw" / batch["id"] / "batch.json")["format"] == SourceFormat.DEMO.value
    assert list((data / "truth" / batch["id"]).glob("*.parquet"))
    assert not list((data / "rejected").rglob("*.parquet"))
    assert run_ingest(data, small, now=now) == manifest
    assert "another seed" not in caplog.text
    run_ingest(data, small.model_copy(update={"seed": 6}), now=now)
    assert "another seed" in caplog.text


def test_ingest_source_parquet_with_typed_columns_is_accepted(tmp_path):
    frame = pl.DataFrame(
        {"sku": [101, 102], "location": ["L", "L"], "date": [datetime(2024, 5, 1)] * 2, "units_sold": [1, 2]}  # noqa: DTZ001
    )
    frame.write_parquet(tmp_path / "sales.parquet")
    done = ingest(tmp_path / "data", tmp_path / "sales.parquet")
    stored = read_table(tmp_path / "data" / "raw" / done.batch / "sales.parquet", SALES)
    assert stored["sku"].to_list() == ["101", "102"]
