"""Stage `ingest`: the list of batches in, the manifest of what this run uses out."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from restock.adapters.batch_files import read_batches, require_batch
from restock.adapters.sources.formats import SourceFormat, SourceRequest
from restock.adapters.storage import write_json
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
    manifest = {"batches": batches}
    write_json(data_dir / MANIFEST_FILE, manifest)
    logger.info("manifest: %d batches", len(batches))
    return manifest
