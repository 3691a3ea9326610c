from __future__ import annotations

import pytest

from restock.adapters.guide_documents import render_dag_page, render_decisions
from restock.errors import ConfigurationError


def test_render_decisions_lists_number_title_link_and_day_in_order(tmp_path):
    (tmp_path / "0002-b.md").write_text("# 2. Then that\n\nDecided 2026-02-03. Changes much.\n", encoding="utf-8")
    (tmp_path / "0001-a.md").write_text("# 1. First this\n\nDecided 2026-01-02.\n", encoding="utf-8")
    (tmp_path / "index.md").write_text("# Decisions\n", encoding="utf-8")
    assert render_decisions(tmp_path).splitlines()[-2:] == [
        "| 1 | [First this](0001-a.md) | 2026-01-02 |",
        "| 2 | [Then that](0002-b.md) | 2026-02-03 |",
    ]


@pytest.mark.parametrize("text", ["Decided 2026-01-02.\n", "# 1. First this\n"])
def test_render_decisions_record_without_title_or_day_is_refused(tmp_path, text):
    (tmp_path / "0001-a.md").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"0001-a.md must begin with `# <number>"):
        render_decisions(tmp_path)


def test_render_dag_page_is_the_docstring_under_the_dag_s_name(tmp_path):
    path = tmp_path / "count_stock.py"
    path.write_text('"""\n# Count the stock\n\nAn Airflow DAG.\n"""\n', encoding="utf-8")
    assert render_dag_page(path) == "# count_stock: count the stock\n\nAn Airflow DAG.\n"


def test_render_dag_page_without_a_docstring_is_refused(tmp_path):
    path = tmp_path / "count_stock.py"
    path.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has no docstring, which is the DAG's page"):
        render_dag_page(path)
