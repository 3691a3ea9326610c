"""GTIN-13 barcodes with their check digits."""

from __future__ import annotations

# GS1 keeps prefixes 20-29 for numbers used inside a company, so no simulated barcode is a real article's.
IN_COMPANY_PREFIX = "20"


def gtin13_check_digit(digits: str) -> int:
    """Return the check digit that follows twelve digits.

    Source: GS1 General Specifications, section 7.9 (standard check digit calculation).

    Raises:
        ValueError: `digits` is not twelve decimal digits.

    Example:
        >>> gtin13_check_digit("400638133393")
        1
    """
    if len(digits) != 12 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"a GTIN-13 has 12 digits before its check digit, got {digits!r}")
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return -weighted % 10


def in_company_gtin13(number: int) -> str:
    """Return the GTIN-13 of an article number of at most ten digits.

    Raises:
        ValueError: `number` is negative or has more than ten digits.

    Example:
        >>> in_company_gtin13(42)
        '2000000000428'
    """
    if not 0 <= number < 10**10:
        raise ValueError(f"number must have 1 to 10 digits, got {number}")
    digits = f"{IN_COMPANY_PREFIX}{number:010d}"
    return f"{digits}{gtin13_check_digit(digits)}"
