"""What the documents say is there: pages, links, commands, targets, DAGs; and the site is whole by itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import markdown
import pytest
import typer
from typer.core import TyperGroup, TyperOption

from restock.adapters.layers_picture import read_import_rules
from restock.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FIRST_DATA = ROOT / "docs" / "guide" / "first-data.md"
# Whatever stands before one of these on a line is a command of its own.
COMMAND_START = re.compile(
    r"(?:^|&&|;|\$\(|`|^\$|\|\|)\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?P<tool>restock|make) (?P<rest>[^`\n]*)"
)
PLACEHOLDERS = ("…", "...", "<", "COMMAND")
LOADING = {
    "script": ("src",), "link": ("href",), "img": ("src", "srcset"), "source": ("src", "srcset"), "iframe": ("src",),
    "embed": ("src",), "object": ("data",), "video": ("src", "poster"), "audio": ("src",), "track": ("src",),
    "input": ("src",), "image": ("href", "xlink:href"), "use": ("href", "xlink:href"), "body": ("background",),
    "form": ("action",),
}  # fmt: skip
STYLE_ADDRESS = re.compile(r"""(?:url\(|@import)\s*['"]?([^'")\s;]+)""")
CONTENT_NETWORKS = re.compile(
    r"cdnjs|jsdelivr|unpkg|googleapis|gstatic|googletagmanager|google-analytics|fontawesome\.com/[^l]"
)


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class Elements(HTMLParser):
    """Collects what a page holds: ids, links, what the browser loads, and code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.code: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = {name: value or "" for name, value in attributes}
        if "id" in values:
            self.ids.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        for name in LOADING.get(tag, ()):
            if name in values:
                self.loaded.append(values[name])
        self.loaded += STYLE_ADDRESS.findall(values.get("style", ""))
        if tag in ("code", "style"):
            self._inside.append(tag)
            if tag == "code":
                self.code.append("")

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "code":
            self.code[-1] += data
        elif self._inside:
            self.loaded += STYLE_ADDRESS.findall(data)


def read_page(path: Path) -> Elements:
    text = path.read_text(encoding="utf-8")
    return Elements(markdown.markdown(text, extensions=["toc", "tables", "fenced_code"]))


def used_commands(path: Path) -> list[tuple[str, str]]:
    """Return every `restock …` and `make …` of a page's code, as the tool and what follows it."""
    found = []
    for code in read_page(path).code:
        for line in code.replace("\\\n", " ").splitlines():
            typed = line.split(" #")[0]
            found += [(match["tool"], match["rest"].strip()) for match in COMMAND_START.finditer(typed)]
    return found


def check_restock(words: str) -> str | None:
    """Return what of a command line does not exist, or None."""
    command = typer.main.get_command(app)
    tokens = words.split()
    path = "restock"
    while tokens and isinstance(command, TyperGroup):
        word = tokens.pop(0)
        if word.startswith("-"):
            if word not in options_of(command):
                return f"{path} has no option {word}"
            continue
        if word.startswith(PLACEHOLDERS):
            return None
        if word not in command.commands:
            return f"{path} has no command {word}"
        group, command, path = command, command.commands[word], f"{path} {word}"
        # `restock token create | list | revoke` names several at once.
        while len(tokens) > 1 and tokens[0] in ("|", "/") and tokens[1] in group.commands:
            del tokens[:2]
    for token in tokens:
        if token in ("|", "||", "&&", ";", ">"):
            break
        name = token.lstrip("[(").rstrip("]).,:;").split("=")[0]
        if name.startswith("--") and name not in options_of(command):
            return f"{path} has no option {name}"
    return None


def options_of(command) -> set[str]:
    options = [each for each in command.params if isinstance(each, TyperOption)]
    return {name for each in options for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def fenced_block(path: Path, *, holding: str) -> str:
    """Return the one fenced block of a page that holds a text."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if holding in block]
    return found


def build_site(checkout, folder):
    # Not --quiet: it drops the warnings before --strict counts them.
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build_site(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_site_builds_strictly_with_every_page(site):
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert [page for page in sorted(pages) if not (site / page).is_file()] == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("orphan.md", "# Nobody names it\n", "exist in the docs directory, but are not included"),
        ("index.md", "[there](missing.md)\n", "missing.md"),
        ("index.md", "[there](settings.md#missing)\n", "does not contain an anchor '#missing'"),
    ],
)
def test_site_with_an_orphan_or_a_broken_link_is_not_built(tmp_path, name, text, complaint):
    for part in ("docs", "infra/docs"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    done = build_site(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert complaint in done.stderr


def test_site_loads_nothing_from_another_host(site):
    loaded = []
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".svg"):
            addresses = Elements(path.read_text(encoding="utf-8")).loaded
        elif path.suffix == ".css":
            addresses = STYLE_ADDRESS.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        loaded += [(path.name, address) for address in addresses]
    assert loaded
    assert [pair for pair in loaded if urlsplit(pair[1]).netloc or pair[1].startswith("//")] == []


def test_site_names_no_content_network(site):
    texts = [path for path in site.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")]
    assert [path.name for path in texts if CONTENT_NETWORKS.search(path.read_text(encoding="utf-8"))] == []


def test_site_holds_every_file_that_its_pages_load(site):
    missing = []
    for path in site.rglob("*.html"):
        for address in Elements(path.read_text(encoding="utf-8")).loaded:
            place = unquote(urlsplit(address).path)
            target = site / place.lstrip("/") if place.startswith("/") else path.parent / place
            if not place.startswith("data:") and place and not target.exists():
                missing.append((path.name, address))
    assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_page_links_within_the_checkout_resolve(path):
    page, broken = read_page(path), []
    for link in [*page.links, *page.loaded]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (parts.fragment and parts.fragment not in read_page(target).ids):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_page_names_only_commands_and_targets_that_exist(path):
    faults = []
    for tool, words in used_commands(path):
        if tool == "restock":
            faults.append(check_restock(words))
        else:
            target = next((word for word in words.split() if "=" not in word), "")
            faults.append(None if target.rstrip(".,:;") in make_targets() else f"no target {target!r}")
    assert [fault for fault in faults if fault] == []


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("ingest sales.csv --dry-run", None),
        ("--debug token create | list | revoke", None),
        ("ingest SOURCE... [--table sales] [--json]", None),
        ("ingest --dryrun", "restock ingest has no option --dryrun"),
        ("token make", "restock token has no command make"),
        ("injest sales.csv", "restock has no command injest"),
    ],
)
def test_check_restock_names_what_does_not_exist(words, fault):
    assert check_restock(words) == fault


def test_used_commands_finds_those_of_spans_and_blocks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Run `A=b restock up`.\n\n    cd x && restock ingest y  # no\n\n```console\n$ make test\n```\n")
    assert used_commands(page) == [("restock", "up"), ("restock", "ingest y"), ("make", "test")]


def test_documents_use_enough_commands_for_the_check_to_mean_something():
    assert sum(len(used_commands(path)) for path in PAGES) > 50


def test_dags_page_lists_the_dags_that_there_are():
    listed = re.findall(r"^\| \[`(\w+)`\]", (ROOT / "docs" / "dags.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(listed) == {path.stem for path in (ROOT / "dags").glob("*.py")}


def test_architecture_page_lists_the_packages_of_the_import_rules_in_order():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(\w+)`", text, flags=re.MULTILINE)) == read_import_rules(ROOT).packages


def test_first_data_dry_run_prints_what_the_page_shows(tmp_path):
    (tmp_path / "make_sales.py").write_text(fenced_block(FIRST_DATA, holding="import csv"), encoding="utf-8")
    (tmp_path / "till.yaml").write_text(fenced_block(FIRST_DATA, holding="columns:"), encoding="utf-8")
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    subprocess.run([sys.executable, "make_sales.py"], cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "restock", "ingest", "till_export.csv", "--mapping", "till.yaml", "--dry-run"],
        cwd=tmp_path,
        env=os.environ | {"RESTOCK_WORKSPACE": str(tmp_path), "RESTOCK_LOG_LEVEL": "WARNING", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    command, shown = fenced_block(FIRST_DATA, holding="--dry-run").split("\n", 1)
    assert command.startswith("$ restock ingest")
    # The batch's name follows from its content and from how it is read.
    without_name = [re.sub(r"\b[0-9a-f]{16}\b", "", text).split() for text in (done.stdout, shown)]
    assert without_name[0] == without_name[1]


def test_rendered_pages_and_site_files_name_no_path_of_a_machine():
    machine = re.compile(r"(?<![\w.])/(?:home|Users|tmp|root|work)/")
    assert [page_name(path) for path in [*PAGES, ROOT / "mkdocs.yml"] if machine.search(path.read_text("utf-8"))] == []
