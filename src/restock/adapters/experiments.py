"""DVC's queue of experiments: params to try later, each in a folder and a commit of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from restock.adapters.workspace import DvcError, run_dvc
from restock.errors import ConfigurationError


def require_experiments(folder: Path) -> None:
    """Refuse a workspace that DVC can't run experiments in.

    Raises:
        ConfigurationError: DVC says that it can't: it is under no git, or DVC was told to do without.
    """
    try:
        run_dvc(["exp", "list"], folder=folder)
    except DvcError as error:
        raise ConfigurationError(
            f"{folder} can't keep experiments: {error} They are commits: dvc config --unset core.no_scm, git init, "
            "git add ., git commit."
        ) from error


def queue_experiment(folder: Path, changes: Mapping[str, float], *, name: str) -> None:
    """Put an experiment into the queue of a workspace; `dvc queue start` runs it.

    Args:
        folder: the workspace.
        changes: params by dotted key.
        name: of the experiment.

    Raises:
        DvcError: DVC failed, such as for uncommitted changes that it can't stash.
    """
    assignments = [part for key, value in changes.items() for part in ("--set-param", f"{key}={value}")]
    run_dvc(["exp", "run", "--queue", "--name", name, *assignments], folder=folder)


def experiment_names(folder: Path) -> set[str]:
    """Return the names of the experiments that were run or wait in the queue.

    Raises:
        DvcError: DVC failed.
    """
    done = run_dvc(["exp", "list", "--name-only", "--all-commits"], folder=folder).split()
    queued = [line.split() for line in run_dvc(["queue", "status"], folder=folder).splitlines()]
    return {*done, *(words[1] for words in queued if len(words) > 2)}
