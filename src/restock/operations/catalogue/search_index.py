"""An index of the catalogue in memory: exact, then beginnings, then words, then what is nearly written so."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import OSA

from restock.ledger.gtin import GTIN_DIGITS, GTIN_LENGTHS, shorten_gtin

# More words than a name has; each costs a look through the vocabulary.
_MOST_WORDS = 8
_WORD = re.compile(r"[^\W_]+")
# Sorts after everything that begins with a text.
_AFTER_ALL = "\U0010ffff"
# With so many products found by their words, words that are nearly the same are not looked for.
_ENOUGH = 5
# Edits that are forgiven in a word of at least so many letters.
_ONE_EDIT_FROM, _TWO_EDITS_FROM = 4, 7
# How much a word found there says about the product.
_FIELD_WEIGHTS = {"sku": 1.0, "name": 1.0, "barcode": 0.9, "category": 0.7}
_BEGINNING_WEIGHT, _FUZZY_WEIGHT, _SHORT_NAME_BONUS = 0.9, 0.8, 0.1
_EXACT_LEVEL, _BEGINNING_LEVEL, _FUZZY_LEVEL = 3, 2, 1

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.int8]
Places = npt.NDArray[np.int64]


class Match(IntEnum):
    """How a product was found, the best first."""

    SKU = 0
    BARCODE = 1
    BEGINNING = 2
    WORDS = 3
    FUZZY = 4
    SOME_WORDS = 5


@dataclass(frozen=True, kw_only=True)
class SearchEntry:
    """What is found of a product.

    Attributes:
        sku: its number here.
        name: name shown to people.
        category_path: categories from broad to narrow.
        gtins: its barcodes, 14 digits.
        is_active: whether it is still bought or sold.
    """

    sku: str
    name: str
    category_path: str
    gtins: tuple[str, ...]
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A product that was found.

    Attributes:
        entry: the product.
        match: how it was found.
        score: among equal matches, higher is better; 0 to about 1.1.
    """

    entry: SearchEntry
    match: Match
    score: float


@dataclass(frozen=True, kw_only=True)
class SearchIndex:
    """Products by what they are called; built once and never changed.

    Attributes:
        entries: the products; a place is a position in it.
        by_sku: place by sku.
        by_plain_sku: place by sku in its normal form.
        by_gtin: place by barcode, 14 digits.
        words: all words, sorted.
        by_shape: words and their positions in `words`, by number of letters and of digits among them: an edit changes
            either by one at most.
        starts: where the postings of each word begin; one more than there are words.
        posted: place of each posting.
        weights: weight of each posting's field.
        texts: names and skus in normal form, sorted.
        text_places: place of each of them.
        name_letters: letters of each name.
        is_active: of each product.
    """

    entries: tuple[SearchEntry, ...]
    by_sku: dict[str, int]
    by_plain_sku: dict[str, int]
    by_gtin: dict[str, int]
    words: list[str]
    by_shape: dict[tuple[int, int], tuple[list[str], Places]]
    starts: Places
    posted: Places
    weights: Floats
    texts: list[str]
    text_places: Places
    name_letters: Floats
    is_active: npt.NDArray[np.bool_]


def normalise(text: str) -> str:
    """Return words without case, accents and what is between them.

    Example:
        >>> normalise("  Crème-Brûlée_2 ")
        'creme brulee 2'
    """
    plain = text.casefold()
    if not plain.isascii():
        letters = unicodedata.normalize("NFKD", plain)
        plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(_WORD.findall(plain))


def build_index(entries: Iterable[SearchEntry]) -> SearchIndex:
    """Return the index of some products."""
    kept = tuple(entries)
    postings: dict[str, dict[int, float]] = {}
    texts: list[tuple[str, int]] = []
    for place, entry in enumerate(kept):
        sku, name = normalise(entry.sku), normalise(entry.name)
        texts += [(sku, place), (name, place)]
        fields = (
            ("category", normalise(entry.category_path).split()),
            ("barcode", [shorten_gtin(gtin) for gtin in entry.gtins]),
            ("name", name.split()),
            ("sku", [*sku.split(), sku.replace(" ", "")]),
        )
        # The later field says more of the product than the earlier.
        for field_name, words_of_field in fields:
            weight = _FIELD_WEIGHTS[field_name]
            for word in words_of_field:
                postings.setdefault(word, {})[place] = weight
    words = sorted(postings)
    texts.sort()
    by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
    for position, word in enumerate(words):
        by_shape[_shape_of(word)].append(position)
    counts = np.fromiter((len(postings[word]) for word in words), dtype=np.int64, count=len(words))
    return SearchIndex(
        entries=kept,
        by_sku={entry.sku: place for place, entry in enumerate(kept)},
        by_plain_sku={normalise(entry.sku): place for place, entry in enumerate(kept)},
        by_gtin={gtin: place for place, entry in enumerate(kept) for gtin in entry.gtins},
        words=words,
        by_shape={
            shape: ([words[position] for position in positions], np.array(positions, dtype=np.int64))
            for shape, positions in by_shape.items()
        },
        starts=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)]),
        posted=np.fromiter((place for word in words for place in postings[word]), dtype=np.int64),
        weights=np.fromiter((weight for word in words for weight in postings[word].values()), dtype=np.float32),
        texts=[text for text, _ in texts],
        text_places=np.fromiter((place for _, place in texts), dtype=np.int64, count=len(texts)),
        name_letters=np.fromiter((len(entry.name) for entry in kept), dtype=np.float32, count=len(kept)),
        is_active=np.fromiter((entry.is_active for entry in kept), dtype=np.bool_, count=len(kept)),
    )


def find(
    index: SearchIndex,
    query: str,
    *,
    limit: int,
    without: frozenset[str] = frozenset(),
    is_active: bool | None = None,
) -> list[Hit]:
    """Return the products that a query means, the best first.

    Exact skus and barcodes come first, then names and skus that begin with the query, then those that hold every word
    of it or a word that begins so, then those that hold nearly such words, then those that hold some.

    Args:
        index: the products.
        query: as typed.
        limit: products at most.
        without: skus that are left out.
        is_active: only products in use, or only others; None: all.
    """
    if not index.entries:
        return []
    text = normalise(query)
    words = list(dict.fromkeys(text.split()))[:_MOST_WORDS]
    allowed = _allowed(index, without=without, is_active=is_active)
    matches = np.full(len(index.entries), len(Match), dtype=np.int8)
    scores = np.zeros(len(index.entries), dtype=np.float32)
    if words:
        levels, scores = _match_words(index, words)
        _mark_words(matches, levels)
        n_found = int(np.count_nonzero(allowed & (matches <= Match.WORDS)))
        is_exact = text in index.by_plain_sku or _as_gtin(query) in index.by_gtin
        if n_found < min(limit, _ENOUGH) and not is_exact:
            near_levels, near_scores = _match_nearly(index, words)
            levels, scores = np.maximum(levels, near_levels), np.maximum(scores, near_scores)
            _mark_words(matches, levels)
        scores = scores.mean(axis=0) + _SHORT_NAME_BONUS * len(text) / np.maximum(index.name_letters, len(text))
        begin, end = _range_of(index.texts, text)
        matches[index.text_places[begin:end]] = Match.BEGINNING
    _mark_exact(index, matches, query=query, text=text)
    places = np.flatnonzero(allowed & (matches < len(Match)))
    order = np.lexsort((places, -scores[places], matches[places]))[:limit]
    return [
        Hit(
            entry=index.entries[place],
            match=Match(int(matches[place])),
            score=round(float(scores[place]), 4),
        )
        for place in places[order]
    ]


def _allowed(index: SearchIndex, *, without: frozenset[str], is_active: bool | None) -> npt.NDArray[np.bool_]:
    allowed = np.ones(len(index.entries), dtype=np.bool_) if is_active is None else index.is_active == is_active
    allowed[[index.by_sku[sku] for sku in without if sku in index.by_sku]] = False
    return allowed


def _match_words(index: SearchIndex, words: Sequence[str]) -> tuple[Levels, Floats]:
    """Return how well each word (row) is found in each product (column): as a whole, or as a beginning."""
    levels, scores = _empty(index, words)
    for row, word in enumerate(words):
        begin, end = _range_of(index.words, word)
        if begin == end:
            continue
        span = slice(int(index.starts[begin]), int(index.starts[end]))
        levels[row, index.posted[span]] = _BEGINNING_LEVEL
        np.maximum.at(scores[row], index.posted[span], index.weights[span] * np.float32(_BEGINNING_WEIGHT))
        if index.words[begin] == word:
            span = slice(int(index.starts[begin]), int(index.starts[begin + 1]))
            levels[row, index.posted[span]] = _EXACT_LEVEL
            np.maximum.at(scores[row], index.posted[span], index.weights[span])
    return levels, scores


def _match_nearly(index: SearchIndex, words: Sequence[str]) -> tuple[Levels, Floats]:
    """Return how well each word is found in each product with some letters wrong, missing, too many or exchanged."""
    levels, scores = _empty(index, words)
    for row, word in enumerate(words):
        most = _edits_forgiven(word)
        for shape in _near_shapes(word, most) if most else ():
            if shape not in index.by_shape:
                continue
            candidates, positions = index.by_shape[shape]
            for _, distance, position in process.extract(
                word, candidates, scorer=OSA.distance, processor=None, score_cutoff=most, limit=None
            ):
                found = int(positions[position])
                span = slice(int(index.starts[found]), int(index.starts[found + 1]))
                weight = np.float32(_FUZZY_WEIGHT * (1 - distance / len(word)))
                levels[row, index.posted[span]] = _FUZZY_LEVEL
                np.maximum.at(scores[row], index.posted[span], index.weights[span] * weight)
    return levels, scores


def _empty(index: SearchIndex, words: Sequence[str]) -> tuple[Levels, Floats]:
    shape = (len(words), len(index.entries))
    return np.zeros(shape, dtype=np.int8), np.zeros(shape, dtype=np.float32)


def _mark_words(matches: Levels, levels: Levels) -> None:
    """Note which products hold all words, nearly all, or some."""
    worst = levels.min(axis=0)
    matches[levels.max(axis=0) > 0] = Match.SOME_WORDS
    matches[worst >= _FUZZY_LEVEL] = Match.FUZZY
    matches[worst >= _BEGINNING_LEVEL] = Match.WORDS


def _mark_exact(index: SearchIndex, matches: Levels, *, query: str, text: str) -> None:
    place = index.by_gtin.get(_as_gtin(query))
    if place is not None:
        matches[place] = Match.BARCODE
    place = index.by_sku.get(query.strip(), index.by_plain_sku.get(text) if text else None)
    if place is not None:
        matches[place] = Match.SKU


def _as_gtin(query: str) -> str:
    """Return a query of as many digits as a barcode has in the form in which barcodes are kept; else nothing."""
    digits = query.strip().replace(" ", "").replace("-", "")
    is_one = len(digits) in GTIN_LENGTHS and digits.isascii() and digits.isdigit()
    return digits.zfill(GTIN_DIGITS) if is_one else ""


def _shape_of(word: str) -> tuple[int, int]:
    """Return the length of a word, and how many digits are in it."""
    return len(word), sum(letter.isdigit() for letter in word)


def _near_shapes(word: str, most: int) -> Iterator[tuple[int, int]]:
    """Yield the shapes that a word may have after some edits."""
    length, n_digits = _shape_of(word)
    for other_length in range(length - most, length + most + 1):
        for other_digits in range(max(0, n_digits - most), n_digits + most + 1):
            yield other_length, other_digits


def _range_of(texts: Sequence[str], beginning: str) -> tuple[int, int]:
    """Return from where to where sorted texts begin so."""
    return bisect_left(texts, beginning), bisect_left(texts, beginning + _AFTER_ALL)


def _edits_forgiven(word: str) -> int:
    if len(word) < _ONE_EDIT_FROM:
        return 0
    # Numbers that differ in two digits are other numbers.
    return 1 if len(word) < _TWO_EDITS_FROM or word.isdigit() else 2
