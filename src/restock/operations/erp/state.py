"""How the exchange with an ERP stands: its last run, how far each kind has come, what is rejected."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from restock.adapters.database.erp_store import list_cursors, list_rejections, read_counts, read_last_run
from restock.operations.erp.exchange import Direction
from restock.operations.erp.reading import decode_position

_REJECTIONS_SHOWN = 100


def read_state(connection: Connection, system: str) -> dict[str, Any]:
    """Return how the exchange with an ERP stands, ready for JSON.

    Args:
        connection: in a transaction.
        system: such as erpnext.
    """
    run = read_last_run(connection, system)
    return {
        "system": system,
        "last_run": None
        if run is None
        else {
            "run": run["run"],
            "state": run["state"],
            "direction": run["direction"],
            "started_by": run["started_by"],
            "started_at_utc": run["started_at_utc"].isoformat(),
            "finished_at_utc": run["finished_at_utc"] and run["finished_at_utc"].isoformat(),
            "summary": run["summary"],
        },
        "kinds": [
            {"kind": kind, "links": counts["links"], "rejected": counts["rejected"]}
            for kind, counts in read_counts(connection, system).items()
        ],
        "cursors": [
            {
                "kind": row["kind"],
                "direction": row["direction"],
                "read_up_to": decode_position(row["cursor"]).high,
                "is_under_way": decode_position(row["cursor"]).since is not None,
                "changed_at_utc": row["changed_at_utc"].isoformat(),
            }
            for row in list_cursors(connection, system)
            if row["direction"] == Direction.IN
        ],
        "rejections": [
            {
                "kind": row["kind"],
                "direction": row["direction"],
                "record": row["record"],
                "reason": row["reason"],
                "attempts": row["n_attempts"],
                "rejected_at_utc": row["rejected_at_utc"].isoformat(),
            }
            for row in list_rejections(connection, system, limit=_REJECTIONS_SHOWN)
        ],
    }
