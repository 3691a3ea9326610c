import subprocess
import sys
from pathlib import Path

import pytest

PARAMS = Path(__file__).resolve().parents[3] / "params.yaml"


def restock(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "restock", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ingest", "--nope"], 2, "No such option: --nope"),
        (["inges"], 2, "No such command 'inges'"),
        (["promote", "demand_forecasting"], 2, "Missing option '--reason'"),
        (["ingest", "missing.csv"], 2, "missing.csv does not exist"),
        (["status"], 1, "nothing was started yet"),
        (["--version"], 0, "restock "),
    ],
)
def test_main_says_what_is_wrong_without_a_traceback(tmp_path, arguments, code, words):
    (tmp_path / "params.yaml").write_bytes(PARAMS.read_bytes())
    done = restock(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_workspace_create_again_keeps_what_was_edited(tmp_path):
    assert restock("workspace", "create", "shop", cwd=tmp_path).returncode == 0
    edited = tmp_path / "shop" / "params.yaml"
    edited.write_text("# mine\n" + edited.read_text(encoding="utf-8"), encoding="utf-8")
    done = restock("workspace", "create", "shop", cwd=tmp_path)
    assert done.returncode == 0
    assert "stay as they are" in done.stderr
    assert edited.read_text(encoding="utf-8").startswith("# mine")


def test_workspace_create_on_a_file_is_refused(tmp_path):
    (tmp_path / "shop").touch()
    done = restock("workspace", "create", "shop", cwd=tmp_path)
    assert done.returncode == 2
    assert "shop is a file, expected a folder" in done.stderr
