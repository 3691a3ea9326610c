"""The network trained on PyTorch, by setting, and served by TensorFlow; install-real-parts brings PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from restock.adapters.neural_files import load_neural
from restock.adapters.storage import read_json
from tests.pipeline.promotion import params_of, settings_of, write_history, write_params
from tests.unit.forecasting.families.test_neural import HORIZON, weekly_panel

ROOT = Path(__file__).resolve().parents[3]
TORCH = ROOT / ".cache" / "torch"
# Fits twice on PyTorch, saves the first, and keeps what PyTorch itself forecasts.
FIT_ON_TORCH = """
import sys
from pathlib import Path
import numpy as np
from restock.adapters.neural_files import save_neural
from restock.forecasting.families.neural import fit_neural
from tests.unit.forecasting.families.test_neural import HORIZON, small_params, weekly_panel

folder = Path(sys.argv[1])
panel = weekly_panel()
known = panel.observed_until(panel.date_of(panel.observed_periods - HORIZON - 1))
fitted, again = (fit_neural(known, params=small_params(), seed=7) for _ in range(2))
assert "tensorflow" not in sys.modules
first, second = (each.forecast(known, horizon=HORIZON) for each in (fitted, again))
np.savez(folder / "torch.npz", quantiles=first.quantile_units, mean=first.mean_units, again=second.quantile_units)
save_neural(fitted, folder / "model")
"""


def torch_environment(**changes: str) -> dict[str, str]:
    assert TORCH.is_dir(), "PyTorch is missing. Install it: bash infra/dev/install-real-parts"
    path = os.pathsep.join([str(TORCH), str(ROOT)])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | changes


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    command = [sys.executable, "-c", FIT_ON_TORCH, str(folder)]
    done = subprocess.run(
        command, env=torch_environment(KERAS_BACKEND="torch"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.real
def test_network_trained_on_torch_forecasts_the_same_when_tensorflow_serves_it(trained: Path) -> None:
    panel = weekly_panel()
    known = panel.observed_until(panel.date_of(panel.observed_periods - HORIZON - 1))
    served = load_neural(trained / "model").forecast(known, horizon=HORIZON)
    expected = np.load(trained / "torch.npz")
    assert read_json(trained / "model" / "forecaster.json")["trained_on"] == "torch"
    # The same arithmetic in float32, its sums ordered otherwise.
    np.testing.assert_allclose(served.quantile_units, expected["quantiles"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(served.mean_units, expected["mean"], rtol=1e-4, atol=1e-4)


@pytest.mark.real
def test_network_trained_on_torch_beats_the_last_week_and_repeats_itself(trained: Path) -> None:
    panel = weekly_panel()
    expected = np.load(trained / "torch.npz")
    demand = panel.sales_units[:, panel.observed_periods - HORIZON : panel.observed_periods]
    last_week = panel.sales_units[:, panel.observed_periods - 2 * HORIZON : panel.observed_periods - HORIZON]
    assert np.abs(demand - expected["mean"]).mean() < 0.85 * np.abs(demand - last_week).mean()
    np.testing.assert_array_equal(expected["quantiles"], expected["again"])


@pytest.mark.real
def test_train_command_trains_on_torch_by_setting(tmp_path: Path) -> None:
    write_history(tmp_path)
    neural = {"epochs": 1, "training_windows": 200, "lookback_periods": 28, "hidden_units": 8}
    write_params(tmp_path, {"families": {"neural": neural}})
    from restock.pipeline.features import run_features

    run_features(settings_of(tmp_path).data_dir, params_of(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "restock", "train", "neural", "--json"],
        cwd=tmp_path,
        env=torch_environment(RESTOCK_KERAS_BACKEND="torch", RESTOCK_WORKSPACE=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["pinball"] > 0
    model = tmp_path / "data" / "candidates" / "demand_forecasting" / "neural" / "model"
    assert read_json(model / "forecaster.json")["trained_on"] == "torch"
    assert load_neural(model).horizon == 7


@pytest.mark.parametrize(
    ("backend", "match"),
    [
        ("torch", "RESTOCK_KERAS_BACKEND is torch, and PyTorch can't be imported"),
        ("jax", "Keras runs on 'jax', expected one of tensorflow, torch"),
    ],
)
def test_backend_that_is_not_to_be_had_is_explained(backend: str, match: str) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from restock.errors import ConfigurationError\n"
        "from restock.forecasting.families.neural_network import import_keras\n"
        "try:\n    import_keras()\nexcept ConfigurationError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert match in done.stdout


def test_backend_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "restock", "params"],
        cwd=ROOT,
        env=os.environ | {"RESTOCK_KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "RESTOCK_KERAS_BACKEND" in done.stderr
