from __future__ import annotations

import os

import pytest

from restock.errors import BatchRefusedError, DataError
from restock.operations.watch_folder import WatchOutcome, watch_folder


class Watched:
    """A folder that changes between looks: each step is done before the next look."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "inbox"
        self.folder.mkdir(exist_ok=True)
        self.memory = tmp_path / "watched.json"
        self.ingested = []

    def write(self, text, *, name="sales.csv", at=1):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        os.utime(path, (at, at))

    def ingest(self, path):
        text = path.read_text(encoding="utf-8")
        self.ingested.append((path.name, text))
        if "bad" in text:
            raise BatchRefusedError(f"{path.name} is bad")
        return f"batch of {text}"

    def run(self, *steps, **options):
        left = list(steps)

        def wait():
            if not left:
                return False
            left.pop(0)()
            return True

        found = watch_folder(
            self.folder, ingest=self.ingest, wait=wait, memory=self.memory, **({"is_stopped": bool} | options)
        )
        return [(item.path.name, item.outcome, item.message) for item in found]


def nothing():
    pass


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def test_watch_folder_file_that_stands_still_is_taken_up_once_and_stays(watched):
    watched.write("one")
    found = watched.run(nothing, nothing, nothing)
    assert found == [("sales.csv", WatchOutcome.INGESTED, "batch batch of one")]
    assert (watched.folder / "sales.csv").is_file()


def test_watch_folder_file_that_grows_waits_until_it_stands_still(watched):
    watched.write("on", at=1)
    watched.run(lambda: watched.write("one", at=2), lambda: watched.write("one and", at=3))
    assert watched.ingested == []
    watched.run(nothing)
    assert watched.ingested == [("sales.csv", "one and")]


def test_watch_folder_changed_file_is_taken_up_again(watched):
    watched.write("one")
    watched.run(nothing, lambda: watched.write("two", at=2), nothing)
    assert [text for _, text in watched.ingested] == ["one", "two"]


def test_watch_folder_touched_file_of_the_same_content_is_not_taken_up_again(watched):
    watched.write("one")
    watched.run(nothing, lambda: watched.write("one", at=2), nothing)
    assert len(watched.ingested) == 1


def test_watch_folder_refused_file_is_reported_once_also_over_a_restart(watched):
    watched.write("bad")
    assert watched.run(nothing, nothing) == [("sales.csv", WatchOutcome.REFUSED, "sales.csv is bad")]
    assert watched.run(nothing, nothing) == []
    assert watched.run(nothing, lambda: watched.write("good", at=2), nothing)[0][1] is WatchOutcome.INGESTED


def test_watch_folder_refused_file_is_tried_again_when_it_is_read_otherwise(watched):
    watched.write("bad")
    watched.run(nothing, reading="one mapping")
    assert len(watched.run(nothing, reading="another mapping")) == 1


def test_watch_folder_other_and_hidden_files_are_left_alone(watched):
    for name in ("readme.md", ".sales.csv", "sales.csv.part"):
        watched.write("one", name=name)
    assert watched.run(nothing, nothing) == []


def test_watch_folder_once_ends_after_one_round(watched):
    watched.write("one")
    assert len(watched.run(nothing, lambda: watched.write("two", at=2), nothing, is_once=True)) == 1


def test_watch_folder_stopped_between_files_leaves_the_others(watched):
    for name in ("sales.csv", "stock.csv"):
        watched.write("one", name=name)
    watched.run(nothing, is_stopped=lambda: len(watched.ingested) == 1)
    assert [name for name, _ in watched.ingested] == ["sales.csv"]


def test_watch_folder_missing_folder_is_refused(tmp_path):
    missing = watch_folder(tmp_path / "none", ingest=str, wait=bool, is_stopped=bool, memory=tmp_path / "m.json")
    with pytest.raises(DataError, match="no folder that could be watched"):
        next(missing)
