import re
import subprocess

from restock.adapters.provenance import read_library_versions, read_provenance, who_runs_this
from restock.adapters.storage import sha256_of


def test_read_provenance_names_the_commit_of_the_code_and_the_pipeline_of_the_workspace(tmp_path):
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    provenance = read_provenance(tmp_path)
    assert provenance.dvc_lock_sha256 == sha256_of(tmp_path / "dvc.lock")
    assert provenance.git_commit is None or re.fullmatch(r"[0-9a-f]{40}", provenance.git_commit)
    assert (provenance.git_commit is None) == (provenance.has_local_changes is None)


def test_read_provenance_does_not_take_the_repository_around_the_workspace_for_the_code_s(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    assert read_provenance(tmp_path).git_commit == read_provenance(elsewhere).git_commit


def test_read_provenance_without_a_pipeline_has_no_lock(tmp_path):
    assert read_provenance(tmp_path).dvc_lock_sha256 is None


def test_read_library_versions_has_python_and_restock():
    assert {"python", "restock", "numpy"} <= set(read_library_versions())


def test_who_runs_this_is_never_empty():
    assert who_runs_this()
