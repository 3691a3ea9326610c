from __future__ import annotations

from html.parser import HTMLParser

from restock.adapters.quality_report import render_quality_report

VOID = {"meta"}


class Balance(HTMLParser):
    """Collects the open tags, so that a page that does not close one is found."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        assert not any(name in ("src", "href") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def report(*, is_met):
    expectation = {
        "rule": "units_sold_at_least", "expectation": "between", "columns": ["units_sold"], "severity": "warning",
        "is_met": is_met, "n_unexpected": 2, "unexpected_share": 0.02, "examples": ["<b>-1</b>"], "problem": "",
    }  # fmt: skip
    return {
        "verdict": "accepted" if is_met else "refused",
        "reasons": [] if is_met else ["a & b"],
        "facts": {"batch": "b1", "rows": 100},
        "tables": {
            "sales": {
                "rows": 100, "rejected_rows": 2, "notes": ["left out: till"], "expectations": [expectation],
                "rejected_by_rule": {"units_sold_type": {"rows": 2, "examples": ["line 3: <x>"]}},
            }
        },
    }  # fmt: skip


def test_render_quality_report_refused_batch_shows_reasons_rules_and_examples_escaped():
    page = render_quality_report("Batch b1", report(is_met=False))
    parser = Balance()
    parser.feed(page)
    text = " ".join(parser.text)
    assert parser.open == []
    for words in ("refused", "a & b", "units_sold_type", "line 3: <x>", "<b>-1</b>", "broken", "2.00%"):
        assert words in text
    assert "://" not in page


def test_render_quality_report_accepted_batch_says_met():
    page = render_quality_report("Batch b1", report(is_met=True))
    assert "accepted" in page
    assert ">met<" in page
    assert "broken</span>" not in page
