"""The one kind of task: a command of ours in a process of its own, its output in the task's log."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from restock.adapters.run_workspace import RUNS_FOLDER
from restock.settings import read_settings

# Exit codes that say that the same again would end the same: wrong configuration or data, a refused batch or candidate,
# a version that is not what was promoted.
_FINAL_CODES = (2, 3, 4, 5)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Arguments = Callable[[Context], list[str]]
Folder = Callable[[Context], Path]
Skip = Callable[[Context], str | None]


def home_folder(context: Context) -> Path:  # noqa: ARG001  (every Folder takes the context)
    """Return the workspace that Airflow works for."""
    return read_settings().home


def run_folder(context: Context) -> Path:
    """Return the workspace of a DAG run: its own folder under .runs/, the same in each of its tasks."""
    run = context["dag_run"]
    return read_settings().home / RUNS_FOLDER / _UNSAFE.sub("_", f"{run.dag_id}.{run.run_id}")


def never(context: Context) -> str | None:  # noqa: ARG001  (every Skip takes the context)
    """Return no reason to skip."""
    return None


class CommandOperator(BaseOperator):
    """Runs a Python module's command in a workspace; its last line, where it is a JSON object, is the task's result.

    The arguments are a list that no shell sees, so that nothing which a form holds can become another command.
    """

    ui_color = "#e8f1f2"

    def __init__(
        self,
        *,
        arguments: Arguments,
        module: str = "restock",
        folder: Folder = home_folder,
        skip: Skip = never,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.module = module
        self.folder = folder
        self.skip = skip

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Run the command.

        Raises:
            AirflowSkipException: there is nothing to do in this run.
            AirflowFailException: the command failed in a way that trying again does not change.
            AirflowException: it failed otherwise.
        """
        reason = self.skip(context)
        if reason is not None:
            raise AirflowSkipException(reason)
        folder = self.folder(context)
        folder.mkdir(parents=True, exist_ok=True)
        run = context["dag_run"]
        result = self.hook.run_command(
            [sys.executable, "-m", self.module, *self.arguments(context)],
            env=os.environ
            | {
                "RESTOCK_WORKSPACE": str(folder),
                "RESTOCK_ORCHESTRATION_RUN": f"{run.dag_id}/{run.run_id}",
                # The interpreter's own folder: dvc.yaml calls `restock`.
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
                "DVC_NO_ANALYTICS": "1",
                "PYTHONUNBUFFERED": "1",
            },
            cwd=str(folder),
        )
        if result.exit_code:
            error = AirflowFailException if result.exit_code in _FINAL_CODES else AirflowException
            raise error(f"{self.task_id} ended with exit code {result.exit_code}: {result.output}")
        if not result.output.startswith("{"):
            return None
        answer: dict[str, Any] = json.loads(result.output)
        return answer

    @property
    def hook(self) -> SubprocessHook:
        """The running command, remembered so that it can be stopped."""
        if not hasattr(self, "_hook"):
            self._hook = SubprocessHook()
        return self._hook

    def on_kill(self) -> None:
        """Stop the command when the task is stopped: no training goes on behind Airflow's back."""
        self.hook.send_sigterm()


def option(name: str, value: object) -> list[str]:
    """Return an option as arguments, none where the form left it empty; one word: a value is never taken for an option.

    Example:
        >>> option("--family", "xgboost"), option("--family", None), option("--to", 3)
        (['--family=xgboost'], [], ['--to=3'])
    """
    return [] if value is None or value == "" else [f"{name}={value}"]
