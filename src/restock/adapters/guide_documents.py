"""What the guide takes from the code: commands, a page for each DAG, the two pictures and the index of decisions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from typer.core import TyperGroup

from restock.adapters.command_reference import render_command_reference
from restock.adapters.contract_documents import Document
from restock.adapters.layers_picture import draw_layers, read_import_rules
from restock.adapters.pipeline_picture import draw_pipeline, read_pipeline
from restock.errors import ConfigurationError

COMMAND_REFERENCE = "docs/guide/commands.md"
LAYERS_PICTURE = "docs/architecture/layers.svg"
PIPELINE_PICTURE = "docs/architecture/pipeline.svg"
DECISIONS_FOLDER = "docs/adr"
DAGS_FOLDER = "dags"
DAG_PAGES = "docs/dags"
DECISIONS_INDEX = f"{DECISIONS_FOLDER}/index.md"

_DECISION_TITLE = re.compile(r"# (?P<number>\d+)\. (?P<title>.+)")
_DECISION_DATE = re.compile(r"^Decided (?P<date>\d{4}-\d{2}-\d{2})", flags=re.MULTILINE)


def render_guide(root: Path, *, program: TyperGroup) -> dict[str, Document]:
    """Return every document of the guide that follows from the code, by its path relative to the checkout.

    Args:
        root: the checkout.
        program: the whole command line.
    """
    return {
        COMMAND_REFERENCE: Document(
            content=render_command_reference(program), source="the help texts in src/restock/cli"
        ),
        LAYERS_PICTURE: Document(
            content=draw_layers(read_import_rules(root)), source="the import rules in pyproject.toml"
        ),
        PIPELINE_PICTURE: Document(content=draw_pipeline(read_pipeline(root)), source="dvc.yaml"),
        DECISIONS_INDEX: Document(
            content=render_decisions(root / DECISIONS_FOLDER), source=f"the files in {DECISIONS_FOLDER}"
        ),
    } | {
        f"{DAG_PAGES}/{path.stem}.md": Document(
            content=render_dag_page(path), source=f"the docstring of {DAGS_FOLDER}/{path.name}"
        )
        for path in sorted((root / DAGS_FOLDER).glob("*.py"))
    }


def render_dag_page(path: Path) -> str:
    """Return a DAG's page, as Airflow shows it, from its file's docstring.

    Raises:
        ConfigurationError: the file has none.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if text is None:
        raise ConfigurationError(f"{path} has no docstring, which is the DAG's page. Begin the file with one.")
    title, _, rest = text.partition("\n")
    # The guide's pages say first which DAG they are about; in Airflow that stands above.
    return f"# {path.stem}: {title.removeprefix('# ').lower()}\n{rest}\n"


def render_decisions(folder: Path) -> str:
    """Return the index of the architecture decision records, as Markdown.

    Raises:
        ConfigurationError: a record lacks its numbered title or the day it was decided.
    """
    lines = [
        "# Decisions",
        "",
        "Decisions that are hard to undo, each with its reason and its price. The list is rendered from the files by",
        "`restock contract render`.",
        "",
        "| number | decision | decided |",
        "|---|---|---|",
    ]
    for path in sorted(folder.glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        title, decided = _DECISION_TITLE.match(text), _DECISION_DATE.search(text)
        if title is None or decided is None:
            raise ConfigurationError(f"{path} must begin with `# <number>. <title>` and say `Decided YYYY-MM-DD`.")
        lines.append(f"| {title['number']} | [{title['title']}]({path.name}) | {decided['date']} |")
    return "\n".join(lines) + "\n"
