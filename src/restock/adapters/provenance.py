"""Where a result came from: the commit of the code, the state of the pipeline, and the libraries it ran on."""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

import yaml

import restock
from restock.adapters.storage import sha256_of
from restock.errors import DataError

_SOURCE = Path(restock.__file__).resolve().parent
# What a fitted model's numbers or files can depend on.
_LIBRARIES = (
    "restock", "numpy", "polars", "scikit-learn", "skops", "xgboost", "tensorflow", "tensorflow-cpu", "keras", "torch",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The state of code and pipeline.

    Attributes:
        git_commit: commit of the checkout that the package runs from; None outside a git checkout.
        has_local_changes: whether tracked files differ from that commit; None where there is no commit.
        dvc_lock_sha256: SHA-256 of the workspace's dvc.lock; None before the first `dvc repro`.
        library_versions: versions of Python and of the libraries that a model depends on.
    """

    git_commit: str | None
    has_local_changes: bool | None
    dvc_lock_sha256: str | None
    library_versions: dict[str, str]


def read_provenance(workspace: Path) -> Provenance:
    """Return the state of the code that runs and of the pipeline in `workspace`."""
    commit = read_git_commit()
    changes = None if commit is None else bool(_git(["status", "--porcelain", "--untracked-files=no"], folder=_SOURCE))
    lock = workspace / "dvc.lock"
    return Provenance(
        git_commit=commit,
        has_local_changes=changes,
        dvc_lock_sha256=sha256_of(lock) if lock.is_file() else None,
        library_versions=read_library_versions(),
    )


def read_git_commit() -> str | None:
    """Return the commit of the checkout that the package runs from; None outside a git checkout."""
    return _git(["rev-parse", "HEAD"], folder=_SOURCE) if _is_tracked(_SOURCE) else None


def read_dvc_hash(workspace: Path, out: str) -> str | None:
    """Return the hash under which DVC keeps a stage's output, such as `data/validated`; None before its first run.

    Raises:
        DataError: dvc.lock is not what DVC writes.
    """
    lock = workspace / "dvc.lock"
    if not lock.is_file():
        return None
    try:
        stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
        kept = {entry["path"]: str(entry["md5"]) for stage in stages for entry in stage.get("outs", [])}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{lock} is not what DVC writes ({error!r}). Make it anew: dvc repro --force.") from error
    return kept.get(out)


def read_library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries a model depends on; those not installed are left out."""
    found = {"python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_code_digest(*packages: str) -> str:
    """Return a SHA-256 over the source files of some of restock's packages, whatever commit they are of."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((_SOURCE / package).rglob("*.py")):
            digest.update(f"{path.relative_to(_SOURCE).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def who_runs_this() -> str:
    """Return the name of the account that runs the process."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # Containers run under numbers that no account has.
        return f"uid {os.getuid()}"


def _is_tracked(source: Path) -> bool:
    """Return whether git tracks the package; an environment inside somebody's repository is not that repository."""
    return _git(["ls-files", "--error-unmatch", "__init__.py"], folder=source) is not None


def _git(arguments: list[str], *, folder: Path) -> str | None:
    """Return what a git command prints, or None where git or the repository is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
