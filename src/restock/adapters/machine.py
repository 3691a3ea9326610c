"""What a measurement ran on: processor, cores, memory, how busy it was, and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from restock.adapters.provenance import read_library_versions

_CPU_FILE = Path("/proc/cpuinfo")
# Peers that speed is measured against, beside the libraries that results depend on.
_PEERS = ("bentoml", "dvc", "mlforecast")


def describe_machine() -> dict[str, str]:
    """Return the machine in words; what the system does not tell is left out."""
    found = {"processor": _processor(), "cores": str(os.cpu_count() or "unknown")}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory"] = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30):.0f} GiB"
    found["system"] = f"{platform.system()} {platform.release().split('-')[0]}"
    if hasattr(os, "getloadavg"):
        found["load average before"] = f"{os.getloadavg()[0]:.1f}"
    return found


def read_versions() -> dict[str, str]:
    """Return the versions of the libraries that are measured and of their peers; those not installed are left out."""
    found = read_library_versions()
    for name in _PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """Return the processor's model, or its architecture where the system does not tell more."""
    if _CPU_FILE.is_file():
        for line in _CPU_FILE.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return f"{value.strip()} ({platform.machine()})"
    return platform.processor() or platform.machine()
