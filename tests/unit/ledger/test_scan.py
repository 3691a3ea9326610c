"""Scanned codes: examples that GS1 and others have published, and whatever text comes."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restock.ledger.gtin import check_digit, normalise_gtin
from restock.ledger.scan import LONGEST_CODE, Element, ReadAs, ScanError, read_code

TODAY = date(2024, 5, 1)
GTIN = "09506000134352"


def read(text, today=TODAY):
    return read_code(text, today=today)


@pytest.mark.parametrize(
    ("text", "gtin"),
    [
        ("4006381333931", "04006381333931"),
        ("]E04006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("0036000291452", "00036000291452"),
        ("73513537", "00000073513537"),
        ("]E495012346", "00000095012346"),
        ("]I100614141999996", "00614141999996"),
        ("]C0614141999996", "00614141999996"),
        ("\t9520123456788\r\n", "09520123456788"),
    ],
)
def test_read_code_of_a_barcode_gives_its_gtin(text, gtin):
    code = read(text)
    assert (code.read_as, code.gtin) == (ReadAs.GTIN, gtin)


def test_read_code_of_a_upc_e_gives_the_upc_a():
    assert read("04252614").gtin == "00042100005264"
    assert read("]E004252614").gtin == "00042100005264"


def test_read_code_of_eight_digits_that_are_a_gtin_8_and_a_upc_e_gives_both():
    code = read("01000009")
    assert (code.gtin, code.other_gtins) == ("00000001000009", ("00010000000009",))
    assert read("]E401000009").other_gtins == ()


def test_read_code_of_an_ean_with_add_on_keeps_the_add_on():
    code = read("]E3977147396801203")
    assert code.gtin == normalise_gtin("9771473968012")
    assert code.others == (Element(identifier="", name="ADD-ON", value="03"),)


@pytest.mark.parametrize(
    "text",
    [
        "0109506000134352" + "17250200" + "10ABC123",
        "]C10109506000134352" + "17250200" + "10ABC123",
        "]d2\x1d0109506000134352" + "10ABC123\x1d" + "17250200",
        "]Q30109506000134352" + "10ABC123\x1d" + "17250200\x1d",
        "\xe80109506000134352" + "10ABC123\xe8" + "17250200",
        "(01)09506000134352(17)250200(10)ABC123",
        " (01) 09506000134352 (10) ABC123 (17) 250200 ",
        "https://id.gs1.org/01/09506000134352/10/ABC123?17=250200",
        "HTTPS://example.com/some/shop/01/9506000134352/10/ABC123/?17=250200&utm=x",
        "]Q1https://example.com/01/09506000134352/10/ABC123?17=250200",
        "]d2https://example.com/01/09506000134352/10/ABC123?17=250200#part",
    ],
)
def test_read_code_of_one_item_written_in_any_way_is_the_same(text):
    code = read(text)
    assert (code.gtin, code.lot, code.expires_on) == (GTIN, "ABC123", date(2025, 2, 28))
    assert code.read_as is (ReadAs.DIGITAL_LINK if "http" in text.lower() else ReadAs.ELEMENTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The GS1 Digital Link examples of the Barcode Writer in Pure PostScript's documentation.
        ("https://id.gs1.org/01/09521234543213", {"gtin": "09521234543213"}),
        (
            "https://id.gs1.org/01/09521234543213/10/ABC123/21/12345",
            {"gtin": "09521234543213", "lot": "ABC123", "serial": "12345"},
        ),
        (
            "https://id.gs1.org/01/09521234543213/10/ABC123?17=261231",
            {"gtin": "09521234543213", "lot": "ABC123", "expires_on": date(2026, 12, 31)},
        ),
        ("https://example.com/products/01/09521234543213", {"gtin": "09521234543213"}),
        # The two element strings that the documentation of biip begins with.
        ("0107032069804988", {"gtin": "07032069804988"}),
        ("010703206980498815210526100329", {"gtin": "07032069804988", "lot": "0329"}),
    ],
)
def test_read_code_of_a_published_example_reads_what_it_says(text, expected):
    code = read(text)
    assert {name: getattr(code, name) for name in expected} == expected


def test_read_code_keeps_other_elements_by_name():
    code = read("(01)09506000134352(15)251231(3103)001250(21)S-1(30)4")
    assert code.others == (
        Element(identifier="15", name="BEST BEFORE or BEST BY", value="251231"),
        Element(identifier="3103", name="NET WEIGHT (kg)", value="001250"),
    )
    assert (code.serial, code.quantity) == ("S-1", 4)


def test_read_code_of_a_pallet_gives_the_content_and_its_count():
    code = read("(00)395060001343527932(02)09506000134352(37)24")
    assert (code.gtin, code.quantity) == (GTIN, 24)
    assert [each.identifier for each in code.others] == ["00"]


def test_read_code_of_a_lot_with_parentheses_keeps_them():
    assert read("(01)09506000134352(10)A(B)C").lot == "A(B)C"


# GS1 General Specifications, section 7.12.
@pytest.mark.parametrize(
    ("year", "digits", "expected"),
    [
        (2024, "74", 2074),
        (2024, "75", 1975),
        (2024, "24", 2024),
        (2071, "20", 2120),
        (2071, "22", 2022),
        (2099, "00", 2100),
    ],
)
def test_read_code_puts_a_year_of_two_digits_near_today(year, digits, expected):
    assert read(f"]C117{digits}0131", today=date(year, 5, 1)).expires_on == date(expected, 1, 31)


@pytest.mark.parametrize(("text", "expected"), [("240200", 29), ("230200", 28), ("231200", 31), ("230415", 15)])
def test_read_code_of_day_zero_is_the_last_of_the_month(text, expected):
    assert read(f"]C117{text}").expires_on.day == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "has 1 to"),
        ("x" * (LONGEST_CODE + 1), "has 1 to"),
        ("4006381333932", "its check digit would be 1"),
        ("]E0ABC", "digits only"),
        ("hello", "neither a GTIN nor a GS1 element string"),
        ("0109506000134353", r"\(01\): barcode '09506000134353' ends in 3"),
        ("(01)09506000134352(17)251301", "is no GS1 element"),
        ("(17)250230", "is no date as YYMMDD"),
        ("(17)250000", "is no date as YYMMDD"),
        ("(99", "with no identifier"),
        ("(x)1", "with no identifier"),
        ("(05)1", "is no GS1 element"),
        ("(310)3001250", r"expected one such as \(3103\)"),
        ("(10)A(10)B", "comes twice"),
        ("(30)0", "expected one number above 0"),
        ("(30)2(37)3", "expected one number above 0"),
        ("https://example.com/", "no GS1 Digital Link"),
        ("https://[bad/01/09506000134352", "no GS1 Digital Link"),
        ("https://example.com/01/09506000134352/10", "no GS1 Digital Link"),
        ("]Z9", "nothing but its symbology identifier"),
    ],
)
def test_read_code_of_what_is_none_says_why(text, match):
    with pytest.raises(ScanError, match=match):
        read(text)


IDENTIFIERS = [
    "01",
    "02",
    "00",
    "10",
    "11",
    "15",
    "17",
    "21",
    "30",
    "37",
    "3103",
    "3919",
    "3942",
    "7003",
    "7007",
    "8008",
    "414",
    "4326",
    "710",
    "99",
]
VALUES = st.one_of(
    st.from_regex(r"[0-9]{1,20}", fullmatch=True), st.from_regex(r"[ -~]{0,22}", fullmatch=True), st.text(max_size=10)
)
ELEMENTS = st.lists(st.tuples(st.sampled_from(IDENTIFIERS), VALUES), max_size=5)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789()]\x1d\xe8CdQEI٣ ", max_size=40),
    ELEMENTS.map(lambda parts: "\x1d".join(f"{identifier}{value}" for identifier, value in parts)),
    ELEMENTS.map(lambda parts: "".join(f"({identifier}){value}" for identifier, value in parts)),
    ELEMENTS.map(lambda parts: "https://a.b/" + "/".join(f"{identifier}/{value}" for identifier, value in parts)),
    ELEMENTS.map(
        lambda parts: f"https://a.b/01/{GTIN}?" + "&".join(f"{identifier}={value}" for identifier, value in parts)
    ),
)
PREFIXES = st.sampled_from(["", "]C1", "]d2", "]Q3", "]E0", "]E3", "]E4", "]I1", "]e0", "]X0", "]"])


@given(PREFIXES, TEXTS, st.dates(date(1980, 1, 1), date(2990, 1, 1)))
@example("", "(7007)2", TODAY)
@example("", "3919999", TODAY)
@example("]", "", TODAY)
def test_read_code_of_any_text_reads_it_or_raises_the_named_error(prefix, text, today):
    try:
        code = read_code(prefix + text, today=today)
    except ScanError:
        return
    assert code.gtin is None or normalise_gtin(code.gtin) == code.gtin
    assert code.quantity is None or code.quantity > 0
    assert code.expires_on is None or abs(code.expires_on.year - today.year) <= 50
    assert all(value is None or value.isascii() for value in (code.lot, code.serial))


LOTS = st.from_regex(r"[A-Za-z0-9/_.,-]{1,20}", fullmatch=True)


@given(
    st.from_regex(r"[0-9]{13}", fullmatch=True),
    LOTS,
    st.dates(date(1976, 1, 1), date(2073, 12, 31)),
    st.integers(1, 99_999_999),
)
def test_read_code_of_an_element_string_returns_what_was_put_in(payload, lot, expires_on, count):
    gtin = f"{payload}{check_digit(payload)}"
    code = read(f"]C101{gtin}17{expires_on:%y%m%d}30{count}\x1d10{lot}")
    assert (code.gtin, code.lot, code.expires_on, code.quantity) == (gtin, lot, expires_on, count)
