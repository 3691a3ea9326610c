"""The range of goods: categories and subcategories with what is typical of each."""

from __future__ import annotations

from dataclasses import dataclass

CATEGORIES = ("Food", "Drinks", "Household", "Personal care", "Family and pets", "Home and garden", "Stationery")

# Share of an average day, Monday first.
WEEKLY_PROFILES: dict[str, tuple[float, ...]] = {
    "Food": (0.90, 0.82, 0.88, 0.98, 1.30, 1.52, 0.60),
    "Drinks": (0.78, 0.75, 0.82, 0.98, 1.48, 1.62, 0.57),
    "Household": (0.92, 0.86, 0.88, 0.94, 1.12, 1.60, 0.68),
    "Personal care": (0.92, 0.88, 0.92, 0.96, 1.10, 1.52, 0.70),
    "Family and pets": (1.02, 0.90, 0.90, 0.94, 1.10, 1.44, 0.70),
    "Home and garden": (0.70, 0.66, 0.70, 0.80, 1.10, 1.94, 1.10),
    "Stationery": (1.30, 1.12, 1.04, 1.00, 1.00, 1.10, 0.44),
}


@dataclass(frozen=True, kw_only=True)
class Subcategory:
    """What is typical of the articles of one subcategory.

    Attributes:
        category: one of `CATEGORIES`.
        name: the subcategory's name.
        nouns: what its articles are called.
        prices: lowest and highest list price, currency per unit.
        pace: how brisk its articles sell beside an average one, a factor.
        shelf_life_days: shortest and longest, days; None where articles do not expire.
        season_peak_day: day of the year on which demand peaks.
        season_amplitude: half the yearly swing of log demand.
        promotions_per_year: how often an article is promoted.
        pack_units: case packs that occur, units.
    """

    category: str
    name: str
    nouns: tuple[str, ...]
    prices: tuple[float, float]
    pace: float = 1.0
    shelf_life_days: tuple[int, int] | None = None
    season_peak_day: int = 1
    season_amplitude: float = 0.06
    promotions_per_year: float = 5.0
    pack_units: tuple[int, ...] = (6, 12)

    @property
    def path(self) -> str:
        """The category path, from broad to narrow."""
        return f"{self.category} > {self.name}"


# Ordered so that the first few already span the categories: a company of few articles takes the first ones.
SUBCATEGORIES: tuple[Subcategory, ...] = (
    Subcategory(
        category="Food",
        name="Dairy",
        nouns=("Milk", "Yoghurt", "Butter", "Cream", "Cottage cheese"),
        prices=(0.9, 4.5),
        pace=1.6,
        shelf_life_days=(12, 30),
        pack_units=(6, 10, 12),
    ),
    Subcategory(
        category="Drinks",
        name="Soft drinks",
        nouns=("Cola", "Lemonade", "Sparkling water", "Iced tea", "Tonic"),
        prices=(0.7, 2.9),
        pace=1.5,
        season_peak_day=195,
        season_amplitude=0.40,
        promotions_per_year=8.0,
        pack_units=(6, 12, 24),
    ),
    Subcategory(
        category="Household",
        name="Cleaning",
        nouns=("All-purpose cleaner", "Dish soap", "Glass cleaner", "Sponges", "Bin bags"),
        prices=(1.2, 5.9),
        promotions_per_year=4.0,
    ),
    Subcategory(
        category="Personal care",
        name="Hair care",
        nouns=("Shampoo", "Conditioner", "Hair gel", "Hair spray", "Dry shampoo"),
        prices=(2.2, 8.9),
        pace=0.7,
        promotions_per_year=6.0,
    ),
    Subcategory(
        category="Food",
        name="Bakery",
        nouns=("Rye bread", "Toast", "Rolls", "Baguette", "Croissants"),
        prices=(0.8, 3.9),
        pace=1.5,
        shelf_life_days=(3, 6),
        promotions_per_year=2.0,
        pack_units=(4, 6, 8),
    ),
    Subcategory(
        category="Home and garden",
        name="Garden",
        nouns=("Potting soil", "Lawn seed", "Plant food", "Watering can", "Planter"),
        prices=(3.5, 24.9),
        pace=0.5,
        season_peak_day=130,
        season_amplitude=0.85,
        promotions_per_year=3.0,
        pack_units=(4, 6),
    ),
    Subcategory(
        category="Stationery",
        name="School supplies",
        nouns=("Exercise book", "Pencil set", "Ruler", "Ring binder", "Glue stick"),
        prices=(0.9, 9.9),
        pace=0.6,
        season_peak_day=240,
        season_amplitude=0.65,
        promotions_per_year=2.0,
        pack_units=(10, 20),
    ),
    Subcategory(
        category="Family and pets",
        name="Pet food",
        nouns=("Cat food", "Dog food", "Cat treats", "Dog biscuits", "Bird seed"),
        prices=(0.8, 12.9),
        promotions_per_year=6.0,
        pack_units=(6, 12, 24),
    ),
    Subcategory(
        category="Food",
        name="Fruit and vegetables",
        nouns=("Apples", "Tomatoes", "Carrots", "Salad", "Grapes"),
        prices=(1.0, 4.9),
        pace=1.6,
        shelf_life_days=(5, 12),
        season_peak_day=190,
        season_amplitude=0.22,
        pack_units=(6, 8, 10),
    ),
    Subcategory(
        category="Food",
        name="Snacks and sweets",
        nouns=("Chocolate", "Crisps", "Biscuits", "Gummies", "Salted nuts"),
        prices=(0.9, 4.5),
        pace=1.2,
        season_peak_day=345,
        season_amplitude=0.22,
        promotions_per_year=9.0,
        pack_units=(10, 12, 20),
    ),
    Subcategory(
        category="Drinks",
        name="Coffee and tea",
        nouns=("Ground coffee", "Coffee beans", "Black tea", "Herbal tea", "Cocoa"),
        prices=(1.9, 12.9),
        season_peak_day=15,
        season_amplitude=0.22,
        promotions_per_year=7.0,
    ),
    Subcategory(
        category="Household",
        name="Paper goods",
        nouns=("Toilet paper", "Kitchen roll", "Tissues", "Napkins", "Baking paper"),
        prices=(1.1, 6.9),
        pace=1.1,
        promotions_per_year=5.0,
        pack_units=(4, 6, 8),
    ),
    Subcategory(
        category="Food",
        name="Frozen",
        nouns=("Pizza", "Ice cream", "Spinach", "Fish fingers", "Berries"),
        prices=(1.9, 6.9),
        season_peak_day=200,
        season_amplitude=0.20,
        promotions_per_year=7.0,
        pack_units=(5, 8, 10),
    ),
    Subcategory(
        category="Personal care",
        name="Skin care",
        nouns=("Sun cream", "Hand cream", "Body lotion", "Lip balm", "Shower gel"),
        prices=(1.9, 12.9),
        pace=0.7,
        season_peak_day=185,
        season_amplitude=0.35,
    ),
    Subcategory(
        category="Food",
        name="Pantry",
        nouns=("Pasta", "Rice", "Tomato sauce", "Flour", "Olive oil"),
        prices=(0.8, 8.9),
        pace=1.1,
        pack_units=(6, 10, 12),
    ),
    Subcategory(
        category="Home and garden",
        name="Batteries and light",
        nouns=("AA batteries", "LED bulb", "Torch", "Candles", "Extension lead"),
        prices=(1.9, 14.9),
        pace=0.5,
        season_peak_day=350,
        season_amplitude=0.35,
        promotions_per_year=3.0,
        pack_units=(10, 20),
    ),
    Subcategory(
        category="Food",
        name="Meat and fish",
        nouns=("Minced beef", "Chicken breast", "Ham", "Salmon", "Sausages"),
        prices=(2.5, 12.9),
        pace=1.2,
        shelf_life_days=(6, 14),
        promotions_per_year=7.0,
        pack_units=(4, 6, 8),
    ),
    Subcategory(
        category="Drinks",
        name="Beer and wine",
        nouns=("Lager", "Wheat beer", "Red wine", "White wine", "Cider"),
        prices=(0.9, 11.9),
        pace=1.1,
        season_peak_day=190,
        season_amplitude=0.20,
        promotions_per_year=8.0,
        pack_units=(6, 12, 20),
    ),
    Subcategory(
        category="Family and pets",
        name="Baby care",
        nouns=("Nappies", "Wet wipes", "Baby food", "Baby lotion", "Milk powder"),
        prices=(1.2, 18.9),
        pace=0.8,
        promotions_per_year=4.0,
        pack_units=(4, 6, 12),
    ),
    Subcategory(
        category="Household",
        name="Kitchenware",
        nouns=("Frying pan", "Cutting board", "Storage box", "Peeler", "Mug"),
        prices=(2.9, 29.9),
        pace=0.4,
        promotions_per_year=2.0,
        pack_units=(4, 6),
    ),
)
