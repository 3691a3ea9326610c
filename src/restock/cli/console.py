"""What commands print with: one console for people on stderr, plain JSON for machines on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# A pipe has no width of its own; tables there are as wide as they need to be read.
_PIPE_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140
output = Console(soft_wrap=True, width=_PIPE_WIDTH)
messages = Console(stderr=True, soft_wrap=True)


def print_error(message: str) -> None:
    """Print one error for people, without markup surprises."""
    messages.print("[bold red]error:[/]", end=" ")
    messages.print(message, markup=False, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value for machines on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    # A reader down a pipe waits for the line, not for a full buffer.
    sys.stdout.flush()


@contextmanager
def show_progress(description: str) -> Iterator[Any]:
    """Yield a function `(done, total)` that draws a bar on a terminal and nothing elsewhere.

    Example:
        with show_progress("training") as advance: fit(..., on_progress=advance)
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as progress:
        task = progress.add_task(description, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
