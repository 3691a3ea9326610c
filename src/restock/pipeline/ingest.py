"""Stage `ingest`: the list of batches in, the manifest of what this run uses out."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from restock.adapters.batch_files import (
    BATCH_FILE,
    BatchEntry,
    batch_folder,
    name_batch,
    read_batches,
    require_batch,
)
from restock.adapters.sources.formats import identify_source
from restock.adapters.sources.requests import SourceFormat, SourceRequest
from restock.adapters.storage import read_json, write_json
from restock.operations.ingest import ingest_source
from restock.params import Params

logger = logging.getLogger(__name__)

MANIFEST_FILE = "manifest.json"


def run_ingest(data_dir: Path, params: Params, *, now: datetime) -> dict[str, Any]:
    """Write `data_dir`/manifest.json and return it; where no batch was ingested yet, ingest params.ingest.source first.

    Args:
        data_dir: the workspace's data.
        params: all params.
        now: the present, UTC.

    Raises:
        NotFoundError: a listed batch is not here; the message says how to fetch it.
        DataError: a batch is not what was accepted, or the list is not one.
        BatchRefusedError: the first batch broke a critical expectation.
    """
    batches = read_batches(data_dir)
    if not batches:
        logger.info("no batch has been ingested yet; ingesting params.ingest.source: %s", params.ingest.source)
        request = SourceRequest(format=SourceFormat(params.ingest.source))
        ingest_source(request, params, data_dir=data_dir, now=now)
        batches = read_batches(data_dir)
    for entry in batches:
        require_batch(data_dir, entry)
    _warn_of_other_demo(data_dir, params, batches=batches)
    manifest = {"batches": batches}
    write_json(data_dir / MANIFEST_FILE, manifest)
    logger.info("manifest: %d batches", len(batches))
    return manifest


def _warn_of_other_demo(data_dir: Path, params: Params, *, batches: list[BatchEntry]) -> None:
    """Say so where the demo company in use is not the one that params.yaml describes: batches are never replaced."""
    formats = {entry["id"]: read_json(batch_folder(data_dir, entry["id"]) / BATCH_FILE)["format"] for entry in batches}
    described = name_batch(identify_source(SourceRequest(format=SourceFormat.DEMO), params))
    demos = [batch for batch, source_format in formats.items() if source_format == SourceFormat.DEMO.value]
    if demos and described not in demos:
        logger.warning(
            "the demo company in use (batch %s) was made with another seed, size or simulator than the present one "
            "(batch %s). For a fresh one make another workspace: restock workspace create DIR.",
            ", ".join(demos),
            described,
        )
