"""GTINs: the numbers under the bars, checked and brought to one length; pure."""

from __future__ import annotations

from restock.errors import DataError

# Digits of a GTIN as it is stored: leading zeros make the shorter ones comparable.
GTIN_DIGITS = 14
GTIN_LENGTHS = (8, 12, 13, 14)
_UPC_E_LENGTH = 8
_SHOWN = 40


class GtinError(DataError):
    """A number is no GTIN: too short or long, not of digits, or its check digit is wrong."""

    title = "The barcode is not valid"


def check_digit(payload: str) -> int:
    """Return the check digit of a GS1 key: weights 3 and 1 from the right, and what is left to the next ten.

    Args:
        payload: the digits without the check digit.

    Source: GS1 General Specifications, section 7.9.1.

    Example:
        >>> check_digit("629104150021")
        3
    """
    total = sum(int(digit) * (3 if position % 2 == 0 else 1) for position, digit in enumerate(reversed(payload)))
    return -total % 10


def normalise_gtin(text: str) -> str:
    """Return a GTIN as 14 digits, so that one trade item has one number however long it was printed.

    Args:
        text: GTIN-8, -12, -13 or -14; spaces and hyphens between digits are ignored.

    Raises:
        GtinError: it is none.

    Example:
        >>> normalise_gtin("614141999996") == normalise_gtin("0614141999996")
        True
    """
    digits = text.strip().replace(" ", "").replace("-", "")
    if not digits.isascii() or not digits.isdigit():
        raise GtinError(f"barcode {text[:_SHOWN]!r} must be digits only, as a GTIN-8, -12, -13 or -14 is.")
    if len(digits) not in GTIN_LENGTHS:
        raise GtinError(f"barcode {text[:_SHOWN]!r} has {len(digits)} digits, expected 8, 12, 13 or 14.")
    expected = check_digit(digits[:-1])
    if expected != int(digits[-1]):
        raise GtinError(
            f"barcode {text[:_SHOWN]!r} ends in {digits[-1]}, its check digit would be {expected}. Scan it again or "
            "correct the digits."
        )
    return digits.zfill(GTIN_DIGITS)


def is_gtin(text: str) -> bool:
    """Return whether a text is a GTIN with the right check digit."""
    try:
        normalise_gtin(text)
    except GtinError:
        return False
    return True


def expand_upc_e(digits: str) -> str:
    """Return the GTIN that a zero-suppressed UPC-E stands for, as 14 digits.

    Args:
        digits: 8 digits: number system 0 or 1, six digits, check digit.

    Raises:
        GtinError: it is no UPC-E.

    Source: GS1 General Specifications, section 5.2.2.4.2.

    Example:
        >>> expand_upc_e("01234565")
        '00012345000065'
    """
    if len(digits) != _UPC_E_LENGTH or not digits.isascii() or not digits.isdigit() or digits[0] not in "01":
        raise GtinError(f"{digits[:_SHOWN]!r} is no UPC-E: 8 digits that begin with 0 or 1 were expected.")
    system, body, check = digits[0], digits[1:7], digits[7]
    last = int(body[5])
    if last <= 2:
        item = f"{body[:2]}{last}0000{body[2:5]}"
    elif last == 3:
        item = f"{body[:3]}00000{body[3:5]}"
    elif last == 4:
        item = f"{body[:4]}00000{body[4]}"
    else:
        item = f"{body[:5]}0000{last}"
    return normalise_gtin(f"{system}{item}{check}")


def shorten_gtin(gtin: str) -> str:
    """Return a stored GTIN as it is printed: 8, 12, 13 or 14 digits.

    Example:
        >>> shorten_gtin("00614141999996")
        '614141999996'
    """
    digits = gtin.lstrip("0")
    length = next((length for length in GTIN_LENGTHS if len(digits) <= length), GTIN_DIGITS)
    return digits.zfill(length)
