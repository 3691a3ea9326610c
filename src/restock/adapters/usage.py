"""What this process has used of the machine."""

from __future__ import annotations

import resource
import sys


def peak_rss_mb() -> float:
    """Return the most memory this process has held so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kilobytes.
    return float(peak) / (1 << 20) if sys.platform == "darwin" else float(peak) / (1 << 10)
