"""What must hold of the checkout as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from restock.params import Params, read_param_values, read_params

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = (
    "dags", "src", "models", "data", "expectations", "serving", "infra", "tests",
    "dvc.yaml", "params.yaml", "pyproject.toml",
)  # fmt: skip
REQUIRED_PACKAGES = (
    "apache-airflow", "mlflow", "dvc", "great-expectations", "xgboost", "tensorflow", "pandas", "sqlalchemy",
    "opencv-python-headless", "bentoml",
)  # fmt: skip
MAX_VERSION_BYTES = 10_000_000


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def read_pipeline() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))


def stage_definitions() -> dict[str, dict]:
    pipeline = read_pipeline()
    values = read_param_values(ROOT / "params.yaml")
    stages = {}
    for name, stage in pipeline["stages"].items():
        for family in values["forecasting"]["families"] if "foreach" in stage else [None]:
            text = yaml.safe_dump(stage.get("do", stage)).replace("${item}", family or "")
            stages[f"{name}@{family}" if family else name] = yaml.safe_load(text)
    return stages


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_top_level_has(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("package", REQUIRED_PACKAGES)
def test_requirements_lock_carries(package):
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(rf"^{package}(-cpu)?==", lock, flags=re.MULTILINE)


def test_requirements_lock_is_hashed_and_names_no_address_and_no_pytorch():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    requirements = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert "://" not in lock
    assert not re.search(r"^(torch|nvidia-nccl\S*)==", lock, flags=re.MULTILINE)


def test_tracked_files_name_no_registry_host_and_no_address_of_one():
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("deb", "debian"))
    ]
    naming = [
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if any(host.encode() in path.read_bytes() for host in hosts)
    ]
    assert naming == []


def test_tracked_files_are_small():
    large = [path.name for path in tracked_files() if path.stat().st_size > MAX_VERSION_BYTES]
    assert large == []


def test_params_file_has_every_section_and_a_valid_demo_profile():
    assert set(read_param_values(ROOT / "params.yaml")) == set(Params.model_fields)
    assert read_params(ROOT / "params.yaml", profile="demo").simulation.n_skus < 200


def test_pipeline_code_dependencies_exist():
    missing = [
        dependency
        for stage in stage_definitions().values()
        for dependency in stage["deps"]
        if dependency.startswith("${code}") and not Path(dependency.replace("${code}", f"{ROOT}/src/restock")).is_file()
    ]
    assert missing == []


def test_pipeline_params_exist():
    values = read_param_values(ROOT / "params.yaml")
    for name, stage in stage_definitions().items():
        for key in stage.get("params", []):
            found = values
            for part in key.split("."):
                assert part in found, f"stage {name}: {key}"
                found = found[part]


def test_pipeline_commands_are_commands_of_restock():
    from restock.cli.app import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    used = {stage["cmd"].split()[1] for stage in stage_definitions().values()}
    assert used <= known


def test_import_rules_hold():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_command_start_up_imports_nothing_heavy():
    heavy = (
        "tensorflow",
        "mlflow",
        "great_expectations",
        "xgboost",
        "sklearn",
        "bentoml",
        "pandas",
        "matplotlib",
        "dvc",
    )
    code = f"import sys; import restock.cli.app; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_variables_and_packages_shipped_are_documented():
    from restock.settings import Settings

    readme = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"RESTOCK_{name.upper()}" not in readme]
    assert missing == []
