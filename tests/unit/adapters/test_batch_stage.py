from __future__ import annotations

import pytest

from restock.adapters.batch_stage import STAGING_FOLDER, open_private_folder


def test_open_private_folder_is_removed_with_its_parent(tmp_path):
    with open_private_folder(tmp_path, "b1") as folder:
        (folder / "x").write_text("x", encoding="utf-8")
        assert folder.parent == tmp_path / STAGING_FOLDER
    assert list(tmp_path.iterdir()) == []


def test_open_private_folder_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), open_private_folder(tmp_path, "b1"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_open_private_folder_leftover_goes_but_one_in_use_stays(tmp_path):
    (tmp_path / STAGING_FOLDER / "killed-1").mkdir(parents=True)
    with open_private_folder(tmp_path, "first") as first, open_private_folder(tmp_path, "second"):
        assert not (tmp_path / STAGING_FOLDER / "killed-1").exists()
        assert first.is_dir()
