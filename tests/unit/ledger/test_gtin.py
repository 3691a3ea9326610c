"""GTINs against published examples and by property."""

from __future__ import annotations

import pytest
from biip.upc import Upc
from hypothesis import given
from hypothesis import strategies as st

from restock.ledger.gtin import GtinError, check_digit, expand_upc_e, is_gtin, normalise_gtin, shorten_gtin

# Numbers that GS1 prints in its own documents, as printed there.
PUBLISHED = [
    "9506000134352",  # GS1 Digital Link standard
    "9520123456788",  # GS1 General Specifications and GS1 Digital Link examples
    "6291041500213",  # GS1: how to calculate a check digit by hand
    "614141999996",  # GS1 US
    "00614141999996",
    "9501101531000",  # GS1 General Specifications
    "95012346",  # GS1 General Specifications, GTIN-8
    "4006381333931",  # EAN-13 that Wikipedia works through
    "036000291452",  # UPC-A that Wikipedia works through
    "73513537",  # EAN-8 that Wikipedia works through
]


@pytest.mark.parametrize("gtin", PUBLISHED)
def test_normalise_gtin_of_a_published_example_keeps_its_digits(gtin):
    assert normalise_gtin(gtin) == gtin.zfill(14)


@pytest.mark.parametrize("gtin", PUBLISHED)
def test_normalise_gtin_with_any_digit_changed_is_refused(gtin):
    for position, digit in enumerate(gtin):
        changed = f"{gtin[:position]}{(int(digit) + 1) % 10}{gtin[position + 1 :]}"
        with pytest.raises(GtinError, match="check digit would be"):
            normalise_gtin(changed)


@pytest.mark.parametrize(
    ("text", "match"),
    [("", "digits only"), ("1234567", "7 digits"), ("٤٠٠٦٣٨١٣٣٣٩٣١", "digits only"), ("40063813339AB", "digits only")],
)
def test_normalise_gtin_of_something_else_is_refused(text, match):
    with pytest.raises(GtinError, match=match):
        normalise_gtin(text)


def test_normalise_gtin_with_spaces_and_hyphens_ignores_them():
    assert normalise_gtin(" 4 006381-333931 ") == "04006381333931"


@given(st.text(max_size=20))
def test_normalise_gtin_of_any_text_is_fourteen_digits_or_the_named_error(text):
    try:
        gtin = normalise_gtin(text)
    except GtinError:
        assert not is_gtin(text)
    else:
        assert len(gtin) == 14
        assert is_gtin(gtin)


@given(st.from_regex(r"[0-9]{13}", fullmatch=True))
def test_normalise_gtin_of_the_shortened_form_is_the_same(payload):
    gtin = f"{payload}{check_digit(payload)}"
    assert normalise_gtin(shorten_gtin(gtin)) == gtin


@pytest.mark.parametrize(
    ("upc_e", "upc_a"),
    [("04252614", "042100005264"), ("06543217", "065100004327")],  # both from Wikipedia, Universal Product Code
)
def test_expand_upc_e_of_a_published_example_gives_its_upc_a(upc_e, upc_a):
    assert expand_upc_e(upc_e) == upc_a.zfill(14)


@given(st.from_regex(r"[01][0-9]{6}", fullmatch=True))
def test_expand_upc_e_is_what_another_library_makes_of_it(payload):
    reference = Upc.parse(payload).as_upc_a()
    assert expand_upc_e(f"{payload}{reference[-1]}") == reference.zfill(14)


@pytest.mark.parametrize("text", ["21234565", "0123456", "0123456x"])
def test_expand_upc_e_of_something_else_is_refused(text):
    with pytest.raises(GtinError, match="no UPC-E"):
        expand_upc_e(text)
