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
from restock.errors import TRY_AGAIN
from restock.settings import read_settings

# DVC ends with a code of its own and names that of the stage.
_STAGE_CODE = re.compile(r"exited with (-?\d+)")
# From here on a shell's code says which signal ended the process; DVC's own failures have this one.
_SIGNALLED, _DVC_FAILED = 128, 255
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Arguments = Callable[[Context], list[str]]
Folder = Callable[[Context], Path]
Skip = Callable[[Context], str | None]
# What an update of the task's outlets says of itself, to whoever it starts.
Tell = Callable[[Context], dict[str, str]]


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
        tell: Tell | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = arguments
        self.module = module
        self.folder = folder
        self.skip = skip
        self.tell = tell

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Run the command.

        Raises:
            AirflowSkipException: there is nothing to do in this run.
            AirflowFailException: the command failed in a way that trying again does not change.
            AirflowException: it failed otherwise.
        """
        _require_known_fields(context)
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
            error = AirflowException if is_worth_a_retry(result.exit_code, result.output) else AirflowFailException
            raise error(
                f"{self.task_id} ended with exit code {result.exit_code}: {result.output} What to do stands in the "
                "lines above that begin with `error:`."
            )
        if self.tell is not None:
            for outlet in self.outlets:
                context["outlet_events"][outlet].extra = self.tell(context)
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


def is_worth_a_retry(code: int, last_line: str) -> bool:
    """Return whether a failed command may succeed when it is run again.

    A process that was killed, a server that is away and a failure of DVC itself may pass. Whatever a command says of
    its input (a wrong form, a refused batch, a version that is not there) stays wrong, and a person waits for the word.

    Args:
        code: exit code of the command; negative where a signal ended it.
        last_line: the last line that it printed.

    Example:
        >>> is_worth_a_retry(75, ""), is_worth_a_retry(2, ""), is_worth_a_retry(-9, "")
        (True, False, True)
        >>> is_worth_a_retry(255, "failed to run: restock train xgboost, exited with 2")
        False
    """
    stage = _STAGE_CODE.search(last_line)
    own = int(stage[1]) if stage else code
    return own < 0 or own == TRY_AGAIN or own >= _SIGNALLED or (code == _DVC_FAILED and stage is None)


def _require_known_fields(context: Context) -> None:
    """Refuse a form with a field that the DAG does not have: it would be left out in silence.

    Raises:
        AirflowFailException: there is one.
    """
    known = set(context["dag"].params)
    unknown = sorted(set(context["dag_run"].conf or {}) - known)
    if unknown:
        raise AirflowFailException(
            f"the form has no field {', '.join(map(repr, unknown))}; it has {', '.join(sorted(known)) or 'none'}."
        )


def option(name: str, value: object) -> list[str]:
    """Return an option as arguments, none where the form left it empty; one word: a value is never taken for an option.

    Example:
        >>> option("--family", "xgboost"), option("--family", None), option("--to", 3)
        (['--family=xgboost'], [], ['--to=3'])
    """
    return [] if value is None or value == "" else [f"{name}={value}"]
