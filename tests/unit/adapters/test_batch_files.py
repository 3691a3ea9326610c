from __future__ import annotations

import pytest

from restock.adapters.batch_files import (
    batch_folder,
    describe_tables,
    is_whole_batch,
    list_batch,
    name_batch,
    read_batches,
    require_batch,
    write_batch,
)
from restock.adapters.storage import write_table
from restock.errors import DataError, NotFoundError
from restock.tables import LOCATIONS


def write(tmp_path, batch="b1"):
    import polars as pl

    frame = LOCATIONS.conform(pl.DataFrame({"location": ["L1", "L2"]}))
    staged = tmp_path / "staged"
    write_table(frame, LOCATIONS, staged / "locations.parquet")
    write_batch(
        tmp_path,
        batch,
        staged=staged,
        description={"id": batch},
        after_step=lambda _: None,
    )
    return {"id": batch, "tables": describe_tables(batch_folder(tmp_path, batch))}


def test_name_batch_does_not_depend_on_the_order_of_keys():
    assert name_batch({"a": 1, "b": [2]}) == name_batch({"b": [2], "a": 1})
    assert len(name_batch({})) == 16


def test_write_batch_leaves_whole_folder_and_nothing_beside(tmp_path):
    (tmp_path / "raw" / ".old.tmp").mkdir(parents=True)
    write(tmp_path)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["b1"]
    assert is_whole_batch(batch_folder(tmp_path, "b1"))


def test_is_whole_batch_torn_or_empty_folder_is_not(tmp_path):
    write(tmp_path)
    folder = batch_folder(tmp_path, "b1")
    (folder / "locations.parquet").unlink()
    assert not is_whole_batch(folder)
    (folder / "batch.json").unlink()
    assert not is_whole_batch(folder)


def test_list_batch_appends_in_order_and_replaces_in_place(tmp_path):
    assert read_batches(tmp_path) == []
    for batch in ("b2", "b1"):
        list_batch(tmp_path, {"id": batch, "tables": {}})
    list_batch(tmp_path, {"id": "b2", "tables": {"sales": {"rows": 1, "sha256": "x"}}})
    assert [entry["id"] for entry in read_batches(tmp_path)] == ["b2", "b1"]
    assert read_batches(tmp_path)[0]["tables"]["sales"]["rows"] == 1


@pytest.mark.parametrize("text", ["[]", '{"batches": [1]}', '{"batch": []}', '{"batches": [{"id": "a"}]}'])
def test_read_batches_other_content_is_refused(tmp_path, text):
    (tmp_path / "batches.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="not a list of batches"):
        read_batches(tmp_path)


def test_require_batch_missing_or_changed_table_says_how_to_fetch_it(tmp_path):
    entry = write(tmp_path)
    require_batch(tmp_path, entry)
    path = batch_folder(tmp_path, "b1") / "locations.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="is not what was accepted"):
        require_batch(tmp_path, entry)
    path.unlink()
    with pytest.raises(NotFoundError, match="dvc pull"):
        require_batch(tmp_path, entry)
