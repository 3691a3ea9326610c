import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.adapters.registry import (
    Action,
    Change,
    ModelType,
    change_lock,
    list_versions,
    never_served,
    next_version,
    publish_version,
    read_current,
    read_metadata,
    seal_version,
    set_current,
    start_version,
    tidy,
    verify_version,
    write_version,
)
from restock.errors import DataError, NotFoundError, TamperedVersionError

TYPE = ModelType.ANOMALY_DETECTION
NOW = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


def build(folder):
    (folder / "model.json").write_text("{}")
    (folder / "variables").mkdir()
    (folder / "variables" / "weights").write_bytes(b"\x00\x01")


def write(models, **metadata):
    return write_version(models, TYPE, build=build, metadata={"reason": "test"} | metadata)


def change(served, previous=None, **values):
    given = {"changed_at_utc": NOW, "changed_by": "tester", "reason": "test", "action": Action.PROMOTE} | values
    return Change(served=served, previous=previous, **given)


def rewrite(path, content):
    path.chmod(0o644)
    path.write_bytes(content)


def test_write_version_numbers_follow_and_are_whole(tmp_path):
    assert (write(tmp_path), write(tmp_path)) == (1, 2)
    assert list_versions(tmp_path, TYPE) == (1, 2)
    folder = verify_version(tmp_path, TYPE, 2)
    assert folder.name == "model_version_2"
    assert set(read_metadata(tmp_path, TYPE, 2)["files"]) == {"model.json", "variables/weights"}
    assert read_metadata(tmp_path, TYPE, 2)["version"] == 2


def test_write_version_failing_build_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "half").write_text("")
        raise OSError("disk is full")

    with pytest.raises(OSError, match="disk is full"):
        write_version(tmp_path, TYPE, build=fail, metadata={})
    assert [path.name for path in (tmp_path / TYPE).iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["model.json", "variables/weights"])
def test_verify_version_changed_file_is_named(tmp_path, name):
    write(tmp_path)
    rewrite(tmp_path / TYPE / "model_version_1" / name, b"tampered")
    with pytest.raises(TamperedVersionError, match=f"model_version_1 .*{name} was changed"):
        verify_version(tmp_path, TYPE, 1)


def test_verify_version_missing_file_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / TYPE / "model_version_1" / "variables" / "weights").unlink()
    with pytest.raises(TamperedVersionError, match="variables/weights is missing"):
        verify_version(tmp_path, TYPE, 1)


def test_verify_version_added_file_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / TYPE / "model_version_1" / "payload.pkl").write_bytes(b"")
    with pytest.raises(TamperedVersionError, match=r"payload\.pkl was added"):
        verify_version(tmp_path, TYPE, 1)


@given(place=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=255))
def test_read_metadata_any_changed_byte_is_refused(tmp_path_factory, place, byte):
    models = tmp_path_factory.mktemp("models")
    write(models)
    path = models / TYPE / "model_version_1" / "metadata.json"
    content = bytearray(path.read_bytes())
    place %= len(content)
    if content[place] == byte:
        return
    content[place] = byte
    rewrite(path, bytes(content))
    with pytest.raises(TamperedVersionError, match=r"metadata\.json was changed"):
        read_metadata(models, TYPE, 1)


def test_read_metadata_missing_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / TYPE / "model_version_1" / "metadata.json").unlink()
    with pytest.raises(TamperedVersionError, match=r"metadata\.json is missing"):
        verify_version(tmp_path, TYPE, 1)


@pytest.mark.parametrize("content", [b"[]", b'{"metadata_sha256": 1}', b"{", b"\xff"])
def test_read_metadata_something_else_is_refused(tmp_path, content):
    write(tmp_path)
    rewrite(tmp_path / TYPE / "model_version_1" / "metadata.json", content)
    with pytest.raises(TamperedVersionError, match=r"metadata\.json was changed"):
        verify_version(tmp_path, TYPE, 1)


def test_verify_version_unknown_says_which_there_are(tmp_path):
    write(tmp_path)
    with pytest.raises(NotFoundError, match="no version 7, has 1"):
        verify_version(tmp_path, TYPE, 7)


def test_verify_version_that_dvc_has_says_how_to_fetch_it(tmp_path):
    (tmp_path / TYPE).mkdir()
    (tmp_path / TYPE / "model_version_3.dvc").write_text("outs: []")
    with pytest.raises(NotFoundError, match=r"dvc pull model_version_3\.dvc"):
        verify_version(tmp_path, TYPE, 3)


def test_next_version_is_never_a_number_used_before(tmp_path):
    write(tmp_path)
    (tmp_path / TYPE / "model_version_5.dvc").write_text("outs: []")
    assert next_version(tmp_path, TYPE) == 6


def test_publish_version_refuses_to_overwrite(tmp_path):
    (tmp_path / TYPE / "model_version_1").mkdir(parents=True)
    building = start_version(tmp_path, TYPE)
    seal_version(building, {})
    with pytest.raises(FileExistsError, match="never overwritten"):
        publish_version(building, 1)


def test_seal_version_refuses_metadata_that_hold_checksums(tmp_path):
    with pytest.raises(ValueError, match="must not hold 'files'"):
        seal_version(start_version(tmp_path, TYPE), {"files": {}})


def test_set_current_keeps_the_history(tmp_path):
    write(tmp_path)
    write(tmp_path)
    set_current(tmp_path, TYPE, change(1))
    set_current(tmp_path, TYPE, change(2, 1))
    set_current(tmp_path, TYPE, change(1, 2, action=Action.ROLLBACK))
    current = read_current(tmp_path, TYPE)
    assert (current.served, current.previous, current.action) == (1, 2, Action.ROLLBACK)
    assert [entry.served for entry in current.history] == [1, 2, 1]


def test_set_current_version_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="no version 1, has none"):
        set_current(tmp_path, TYPE, change(1))


def test_read_current_nothing_promoted_is_none(tmp_path):
    assert read_current(tmp_path, TYPE) is None


@pytest.mark.parametrize("content", ['{"served": 1}', "[]", '{"served": 0, "previous": null}'])
def test_read_current_something_else_is_refused(tmp_path, content):
    (tmp_path / TYPE).mkdir()
    (tmp_path / TYPE / "current.json").write_text(content)
    with pytest.raises(DataError, match=r"current\.json is not valid"):
        read_current(tmp_path, TYPE)


def test_tidy_removes_what_a_crash_left_and_keeps_published_versions(tmp_path):
    write(tmp_path)
    set_current(tmp_path, TYPE, change(1))
    write(tmp_path)
    building = start_version(tmp_path, TYPE)
    (building / "half").write_text("")
    (tmp_path / TYPE / ".current.json.x1.tmp").write_text("{")
    removed = tidy(tmp_path, TYPE)
    assert sorted(removed) == sorted([building.name, ".current.json.x1.tmp"])
    assert list_versions(tmp_path, TYPE) == (1, 2)
    assert never_served(tmp_path, TYPE) == (2,)


def test_change_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="inside"), change_lock(tmp_path, TYPE):
        raise RuntimeError("inside")
    with change_lock(tmp_path, TYPE):
        pass


def test_set_current_writes_plain_keys(tmp_path):
    write(tmp_path)
    set_current(tmp_path, TYPE, change(1))
    value = json.loads((tmp_path / TYPE / "current.json").read_text())
    assert {"served", "previous", "changed_at_utc", "changed_by", "reason", "action"} <= set(value)
