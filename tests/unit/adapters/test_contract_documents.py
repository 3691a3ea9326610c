from __future__ import annotations

from restock.adapters.contract_documents import BROKEN_RULES, render_data_dictionary, render_suite
from restock.schema import Column, ColumnOrder, ColumnType, Table
from restock.tables import PLAN, SALES, TABLES

SMALL = Table(
    name="small",
    description="A small table.",
    key=("code",),
    columns=(
        Column(name="code", type=ColumnType.TEXT, description="Key.", choices=("a|b", "c")),
        Column(name="start", type=ColumnType.DATE, description="Start.", is_past_only=True),
        Column(name="end", type=ColumnType.DATE, description="End.", is_nullable=True, is_optional=True),
        Column(name="share", type=ColumnType.NUMBER, description="Share.", unit="share 0-1", minimum=0, maximum=1),
    ),
    orders=(ColumnOrder(earlier="start", later="end"),),
)


def by_rule(table):
    return {expectation["meta"]["rule"]: expectation for expectation in render_suite(table)["expectations"]}


def test_render_suite_has_one_expectation_for_everything_declared():
    rules = by_rule(SMALL)
    assert set(rules) == {
        "code_exists", "code_present", "code_known", "start_exists", "start_present", "start_not_in_future",
        "share_exists", "share_present", "share_at_least", "share_at_most", "end_not_before_start", "small_key_unique",
    }  # fmt: skip
    assert rules["small_key_unique"]["type"] == "expect_column_values_to_be_unique"
    assert rules["share_at_least"]["kwargs"] == {"column": "share", "min_value": 0, "mostly": {"$PARAMETER": "mostly"}}
    assert rules["start_not_in_future"]["kwargs"]["max_value"] == {"$PARAMETER": "today"}
    critical = {rule for rule, expectation in rules.items() if expectation["severity"] == "critical"}
    assert critical == {"code_exists", "start_exists", "share_exists", "start_not_in_future", "small_key_unique"}


def test_render_suite_source_table_alone_counts_rejected_rows():
    assert by_rule(SALES)["rejected_share"]["kwargs"]["column"] == BROKEN_RULES
    assert "rejected_share" not in by_rule(PLAN)


def test_render_suite_row_rules_and_expectations_have_the_same_names():
    from datetime import date

    for table in TABLES.values():
        row_rules = {rule.name for rule in table.row_rules(today=date(2024, 1, 1))}
        batch_rules = {f"{table.name}_key_unique", "rejected_share", *(f"{name}_exists" for name in table.column_names)}
        # A number that is not finite is a row's fault alone: Great Expectations has no expectation for it.
        finite = {name for name in row_rules if name.endswith("_finite")}
        assert row_rules - finite == set(by_rule(table)) - batch_rules


def test_render_data_dictionary_describes_every_column():
    text = render_data_dictionary({"small": SMALL})
    assert "| **code** | text |  | required | a\\|b, c | Key. |" in text
    assert "| end | date |  | optional, else null | null | End. |" in text
    assert "| share | number | share 0-1 | required | 0 to 1 | Share. |" in text
    assert "`end` is not before `start`." in text
