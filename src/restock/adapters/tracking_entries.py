"""What runs are tracked by, in MLflow's own types: metrics, data, signature."""

from __future__ import annotations

import json
import time
from typing import Any

import polars as pl

_GROUPING = ("family", "cutoff", "segment")
# MLflow's limit for the digest of a dataset.
_DIGEST_CHARACTERS = 36


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values as dotted names with text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat


def as_metrics(metrics: dict[str, float], *, step: int = 0) -> list[Any]:
    """Return metrics of now, by name."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    return [Metric(name, float(value), now_ms, step) for name, value in metrics.items()]


def scores_as_metrics(scores: pl.DataFrame) -> list[Any]:
    """Return every metric of every segment, over all windows and window by window."""
    cutoffs = sorted(set(scores["cutoff"].drop_nulls().to_list()))
    names = [name for name in scores.columns if name not in _GROUPING]
    entities: list[Any] = []
    for row in scores.iter_rows(named=True):
        prefix, step = ("", 0) if row["cutoff"] is None else ("window/", cutoffs.index(row["cutoff"]))
        known = {f"{prefix}{name}/{row['segment']}": row[name] for name in names if row[name] is not None}
        entities += as_metrics(known, step=step)
    return entities


def as_dataset_inputs(data_hashes: dict[str, str]) -> list[Any]:
    """Return which data a run read: each validated table by name and hash (the full hash is a tag of the dataset)."""
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource
    from mlflow.entities import DatasetInput, InputTag

    inputs = []
    for name, digest in sorted(data_hashes.items()):
        source = LocalArtifactDatasetSource(f"data/validated/{name}.parquet")
        dataset = MetaDataset(source, name=name, digest=digest[:_DIGEST_CHARACTERS])
        tags = [InputTag("mlflow.data.context", "training"), InputTag("restock.sha256", digest)]
        inputs.append(DatasetInput(dataset=dataset._to_mlflow_entity(), tags=tags))  # noqa: SLF001  (as mlflow.log_input does)
    return inputs


def forecaster_signature() -> Any:
    """Return the signature of a logged forecaster: sales rows in, quantiles out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    inputs = [
        ColSpec("string", "sku"),
        ColSpec("string", "location"),
        ColSpec("datetime", "date"),
        ColSpec("double", "units_sold"),
        ColSpec("double", "unit_price", required=False),
        ColSpec("boolean", "is_promoted", required=False),
        ColSpec("double", "stockout_share", required=False),
        ColSpec("string", "category_path", required=False),
        ColSpec("string", "region", required=False),
    ]
    outputs = [
        ColSpec("string", "sku"),
        ColSpec("string", "location"),
        ColSpec("datetime", "cutoff"),
        ColSpec("datetime", "date"),
        ColSpec("double", "quantile"),
        ColSpec("double", "demand_units"),
        ColSpec("double", "mean_demand_units"),
    ]
    params = ParamSchema([ParamSpec("horizon", "long", 0)])
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs), params=params)
