"""The script that MLflow runs for a logged forecaster ("models from code"): sales rows in, quantiles out; no pickle.

MLflow copies this file beside the model and runs it when the model is loaded; nothing else imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import polars as pl

from restock.adapters.model_files import load_forecaster
from restock.forecasting.forecast import DemandForecaster
from restock.forecasting.panel import build_demand_panel
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency


class LoggedForecaster(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow ships no types
    """Forecasts the series of a sales frame after its last date."""

    forecaster: DemandForecaster
    frequency: Frequency
    horizon: int

    def load_context(self, context: Any) -> None:
        """Load the forecaster from the artifacts."""
        self.forecaster = load_forecaster(Path(context.artifacts["model"]))
        self.frequency = Frequency(context.model_config["frequency"])
        self.horizon = int(context.model_config["horizon"])

    def predict(
        self,
        context: Any,  # noqa: ARG002  (MLflow's signature)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return one row a (series, date, quantile).

        Args:
            context: MLflow's.
            model_input: table `sales`; columns category_path and region are read where they are there.
            params: `horizon`, periods; 0 or left out means the longest.
        """
        horizon = int((params or {}).get("horizon") or self.horizon)
        rows = pl.from_pandas(model_input).with_columns(pl.col("date").cast(pl.Date))
        given = rows.with_columns(
            pl.lit("", dtype=pl.String).alias(name) for name in ("category_path", "region") if name not in rows.columns
        )
        products = given.group_by("sku").agg(pl.col("category_path").last()).with_columns(name=pl.col("sku"))
        places = given.group_by("location").agg(pl.col("region").last()).with_columns(kind=pl.lit("store"))
        panel = build_demand_panel(
            SALES.conform(rows),
            PRODUCTS.conform(products.with_columns(pl.col("category_path").fill_null(""))),
            locations=LOCATIONS.conform(places),
            calendar=CALENDAR.empty(),
            frequency=self.frequency,
            horizon=horizon,
        )
        forecast = self.forecaster.forecast(panel, horizon=horizon)
        table = forecast.to_table(self.forecaster.family).drop("model_version")
        return table.with_columns(pl.col(pl.Date).cast(pl.Datetime("ns"))).to_pandas()


mlflow.models.set_model(LoggedForecaster())
