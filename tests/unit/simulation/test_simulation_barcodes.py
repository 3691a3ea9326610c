import pytest

from restock.simulation.barcodes import gtin13_check_digit, in_company_gtin13


@pytest.mark.parametrize(
    "printed",
    # Printed on goods and in GS1's and Wikipedia's worked examples.
    ["4006381333931", "5901234123457", "9780306406157", "6291041500213"],
)
def test_gtin13_check_digit_printed_barcode_gives_its_last_digit(printed):
    assert gtin13_check_digit(printed[:12]) == int(printed[12])


@pytest.mark.parametrize("digits", ["", "12345678901", "1234567890123", "12345678901x"])
def test_gtin13_check_digit_not_twelve_digits_is_refused(digits):
    with pytest.raises(ValueError, match="12 digits"):
        gtin13_check_digit(digits)


def test_in_company_gtin13_too_long_number_is_refused():
    with pytest.raises(ValueError, match="1 to 10 digits"):
        in_company_gtin13(10**10)
