"""The readable report on checked tables: one HTML page with its styles inside, no network needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2027; --soft: #5c6470; --paper: #fbfbfc; --card: #fff; --line: #e2e5ea;
  --good: #1a7f4b; --bad: #b3261e; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --soft: #a1a9b6; --paper: #14171c; --card: #1c2027;
  --line: #333943; --good: #5cc48d; --bad: #ff8a80; --warn: #f0b955; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0 .75rem; } .soft { color: var(--soft); }
.verdict { font-weight: 600; padding: .6rem .9rem; border-left: 4px solid; background: var(--card); margin: 1rem 0; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  margin: .5rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .75rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
code { font-size: .9em; } ul { margin: .25rem 0 1rem; padding-left: 1.25rem; }
"""


def render_quality_report(title: str, report: Mapping[str, Any]) -> str:
    """Return the page for a report.

    Args:
        title: what was checked.
        report: as in validation.json: `verdict` (accepted, refused or checked), `reasons`, `facts` and `tables`.
    """
    is_good = report["verdict"] != "refused"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in report["reasons"])
    facts = " · ".join(f"{escape(name)} {escape(str(value))}" for name, value in report["facts"].items())
    sections = "\n".join(_render_table(name, table) for name, table in report["tables"].items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="soft">{facts}</p>
<p class="verdict {"good" if is_good else "bad"}">{escape(str(report["verdict"]))}</p>
{f"<ul>{reasons}</ul>" if reasons else ""}
{_render_overview(report["tables"])}
{sections}
</body>
</html>
"""


def _render_overview(tables: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(name),
            f"{table['rows']:,}",
            f"{table['rejected_rows']:,}",
            f"{table['rejected_rows'] / table['rows']:.2%}" if table["rows"] else "-",
            str(len(table["expectations"])),
            str(sum(not expectation["is_met"] for expectation in table["expectations"])),
        ]
        for name, table in tables.items()
    ]
    header = ["table", "rows", "rejected", "share", "expectations", "broken"]
    return _grid(header, rows, numbers=range(1, 6))


def _render_table(name: str, table: Mapping[str, Any]) -> str:
    """Return the section of one table: rejected rows by rule, then every expectation, the broken ones first."""
    parts = [f"<h2>{escape(name)}</h2>"]
    parts += [f'<p class="warn">{escape(note)}</p>' for note in table.get("notes", [])]
    if table["rejected_by_rule"]:
        rows = [
            [f"<code>{escape(rule)}</code>", f"{found['rows']:,}", escape("; ".join(found["examples"]))]
            for rule, found in table["rejected_by_rule"].items()
        ]
        parts += ["<p>Rejected rows by the rule they broke</p>", _grid(["rule", "rows", "such as"], rows, numbers=[1])]
    ordered = sorted(table["expectations"], key=lambda expectation: expectation["is_met"])
    parts += ["<p>Expectations of the whole table</p>"]
    parts.append(
        _grid(
            ["", "expectation", "severity", "rows", "share", "such as"],
            [_expectation_row(expectation) for expectation in ordered],
            numbers=[3, 4],
        )
    )
    return "\n".join(parts)


def _expectation_row(expectation: Mapping[str, Any]) -> list[str]:
    """Return the cells of one expectation."""
    is_critical = expectation["severity"] == "critical"
    mark = (
        '<span class="good">met</span>'
        if expectation["is_met"]
        else f'<span class="{"bad" if is_critical else "warn"}">broken</span>'
    )
    share = expectation["unexpected_share"]
    return [
        mark,
        f"<code>{escape(expectation['rule'])}</code>",
        escape(expectation["severity"]),
        "" if expectation["n_unexpected"] is None else f"{expectation['n_unexpected']:,}",
        "" if share is None else f"{share:.2%}",
        escape("; ".join(expectation["examples"]) or expectation["problem"]),
    ]


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] | range) -> str:
    """Return a table of ready-made cells; `numbers` are the columns that are right-aligned."""

    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=number' if place in numbers else ''}>{value}</{tag}>" for place, value in enumerate(values)
        )

    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{cells(header, "th")}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )
