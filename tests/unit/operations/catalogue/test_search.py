"""Catalogue search: what is found first, and that it follows the catalogue."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.operations.catalogue.products import ProductDraft, put_product, put_products, read_product
from restock.operations.catalogue.search import LONGEST_QUERY, CatalogueSearch, QueryError
from restock.operations.catalogue.search_index import Match, SearchEntry, build_index, find, normalise

EAN = "4006381333931"


def entry(sku, name, category="", gtins=(), is_active=True):
    return SearchEntry(sku=sku, name=name, category_path=category, gtins=tuple(gtins), is_active=is_active)


INDEX = build_index(
    [
        entry("CH-100", "Dark chocolate bar", "Food > Sweets"),
        entry("CH-200", "Bar of milk chocolate", "Food > Sweets", [EAN.zfill(14)]),
        entry("CH-2", "Chocolate", "Food > Sweets"),
        entry("MK-1", "Whole milk", "Food > Dairy", is_active=False),
        entry("CB-7", "Crème brûlée", "Food > Dairy"),
        entry("HM-1", "Hammer", "Tools"),
    ]
)


def skus(query, limit=10, **options):
    return [hit.entry.sku for hit in find(INDEX, query, limit=limit, **options)]


def matches(query):
    return {hit.entry.sku: hit.match for hit in find(INDEX, query, limit=10)}


@pytest.mark.parametrize("query", ["CH-2", "ch-2", "ch 2", " CH_2 "])
def test_find_of_a_sku_returns_it_first(query):
    hits = find(INDEX, query, limit=10)
    assert (hits[0].entry.sku, hits[0].match) == ("CH-2", Match.SKU)


@pytest.mark.parametrize("query", [EAN, f"0{EAN}", "4 006381 333931"])
def test_find_of_a_barcode_returns_its_product_first(query):
    assert matches(query)["CH-200"] is Match.BARCODE
    assert skus(query)[0] == "CH-200"


def test_find_ranks_beginnings_before_words_before_mistakes():
    assert skus("chocolate")[0] == "CH-2"
    assert matches("chocolate") == {"CH-2": Match.BEGINNING, "CH-100": Match.WORDS, "CH-200": Match.WORDS}
    assert matches("dark choc")["CH-100"] is Match.BEGINNING
    assert matches("choc dark")["CH-100"] is Match.WORDS
    assert matches("dark choc")["CH-2"] is Match.SOME_WORDS


@pytest.mark.parametrize("query", ["choclate", "chcoolate", "chocolatte", "xhocolate", "cholocate"])
def test_find_with_a_mistake_returns_what_was_meant(query):
    assert set(skus(query)) == {"CH-2", "CH-100", "CH-200"}
    assert set(matches(query).values()) == {Match.FUZZY}


@pytest.mark.parametrize("query", ["creme brulee", "CRÈME BRÛLÉE", "creme bruleé", "breme crulee"])
def test_find_ignores_case_accents_and_small_mistakes(query):
    assert skus(query)[0] == "CB-7"


def test_find_by_category_returns_its_products():
    assert set(skus("dairy")) == {"MK-1", "CB-7"}


def test_find_short_words_forgives_nothing():
    assert skus("hxm") == []


def test_find_with_a_filter_leaves_others_out():
    assert skus("dairy", is_active=True) == ["CB-7"]
    assert skus("dairy", without=frozenset({"CB-7"})) == ["MK-1"]
    assert len(skus("food", limit=2)) == 2


def test_find_in_nothing_returns_nothing():
    assert find(build_index([]), "x", limit=5) == []


@given(st.text(max_size=LONGEST_QUERY))
def test_find_of_any_text_returns_products_in_order(query):
    hits = find(INDEX, query, limit=4)
    assert len(hits) <= 4
    assert [(hit.match, -hit.score) for hit in hits] == sorted((hit.match, -hit.score) for hit in hits)


@given(st.sampled_from(INDEX.entries), st.data())
def test_find_with_two_letters_exchanged_still_finds_the_name(found, data):
    words = [word for word in normalise(found.name).split() if len(word) > 4]
    if not words:
        return
    word = data.draw(st.sampled_from(words))
    place = data.draw(st.integers(0, len(word) - 2))
    query = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    assert found.sku in skus(query)


@pytest.mark.parametrize("query", ["", "  ", "x" * (LONGEST_QUERY + 1)])
def test_search_for_nothing_or_too_much_is_refused(reading, query):
    with pytest.raises(QueryError, match="a search has 1 to 200 characters"):
        reading(CatalogueSearch().search, query)


def test_search_follows_the_catalogue(writing, reading):
    search = CatalogueSearch()

    def found(query):
        return [hit.entry.name for hit in reading(search.search, query)]

    assert found("pencil") == []
    writing(put_products, [ProductDraft(sku=f"P{n}", name=f"Pencil {n}") for n in range(5)])
    assert found("pencil 3") == ["Pencil 3", *[f"Pencil {n}" for n in (0, 1, 2, 4)]]
    writing(put_product, ProductDraft(sku="P3", name="Eraser", barcodes=[(EAN, "")]))
    assert found("pencil 3")[0] != "Pencil 3"
    assert found("eraser") == ["Eraser"]
    assert found(EAN) == ["Eraser"]
    writing(put_product, ProductDraft(sku="P3", name="Ruler"))
    assert found("eraser") == []
    assert found("ruler") == ["Ruler"]
    writing(put_products, [ProductDraft(sku=f"Q{n}", name=f"Brush {n}") for n in range(1100)])
    assert len(found("brush")) == 20
    assert found("ruler") == ["Ruler"]


def test_put_product_dated_before_the_last_change_is_found_all_the_same(writing, reading):
    search = CatalogueSearch()
    writing(put_product, ProductDraft(sku="A", name="First"))
    assert len(reading(search.search, "first")) == 1
    writing(put_product, ProductDraft(sku="B", name="Second"), now=datetime(2020, 1, 1, tzinfo=UTC))
    assert len(reading(search.search, "second")) == 1
    assert reading(read_product, "B").changed_at > reading(read_product, "A").changed_at


@pytest.mark.long
def test_find_in_fifty_thousand_products_takes_less_than_fifty_milliseconds():
    rng = random.Random(5)
    makers = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(3)) for _ in range(800)]
    things = ["chocolate", "detergent", "screwdriver", "yoghurt", "notebook", "battery", "shampoo", "coffee"]
    products = [
        entry(
            f"SKU-{number:06}",
            f"{rng.choice(makers)} {rng.choice(things)} {rng.randint(1, 99)}0 g",
            gtins=[f"{number:014}"],
        )
        for number in range(50_000)
    ]
    index = build_index(products)
    seconds = []
    for product in rng.sample(products, 200):
        word = product.name.split()[1]
        for query in (product.sku, product.name, word[:4], product.name.replace(word, f"{word[1]}{word[0]}{word[2:]}")):
            begin = time.perf_counter()
            assert find(index, query, limit=20)
            seconds.append(time.perf_counter() - begin)
    assert sorted(seconds)[int(0.99 * len(seconds))] < 0.05
