"""The pictures of layers and pipeline, from small contracts and pipelines of the tests' own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import yaml

from restock.adapters.layers_picture import draw_layers, read_import_rules
from restock.adapters.pipeline_picture import draw_pipeline, read_pipeline
from restock.adapters.svg_picture import Picture, wrap_words
from restock.errors import ConfigurationError

SVG = "{http://www.w3.org/2000/svg}"
RULES = """
[[tool.importlinter.contracts]]
name = "Down only"
type = "layers"
layers = ["top", "left | right", "bottom"]

[[tool.importlinter.contracts]]
name = "Outside reaches the middle"
type = "forbidden"
source_modules = ["outside"]
forbidden_modules = ["restock.top", "heavy"]
"""
PIPELINE = {
    "vars": [{"code": "src"}],
    "stages": {
        "judge": {"desc": "Judge.", "cmd": "judge", "deps": ["data/made", "data/raw2"], "metrics": [{"m.json": {}}]},
        "make": {
            "foreach": "${forecasting.families}",
            "do": {
                "desc": "Make <it> & more.",
                "cmd": "make ${item}",
                "deps": ["data/raw", "${code}/make.py"],
                "params": ["seed", "families.${item}"],
                "outs": [{"data/made/${item}": {"persist": True}}],
            },
        },
        "fetch": {"desc": "Fetch.", "cmd": "fetch", "outs": ["data/raw", "data/raw2"]},
    },
}
PARAMS = {"forecasting": {"families": ["naive", "clever"]}}


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "pyproject.toml").write_text(RULES, encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE, sort_keys=False), encoding="utf-8")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    return tmp_path


def parse(svg):
    return ElementTree.fromstring(svg)


def words_of(svg):
    return [element.text for element in parse(svg).iter(f"{SVG}text")]


def boxes_by_word(svg):
    """Return the frame of the box that each word was written into, as x, y, right, bottom."""
    boxes = [
        tuple(float(element.get(name)) for name in ("x", "y", "width", "height"))
        for element in parse(svg).iter(f"{SVG}rect")
    ]
    found = {}
    for element in parse(svg).iter(f"{SVG}text"):
        x, y = float(element.get("x")), float(element.get("y"))
        around = [box for box in boxes if box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]]
        smallest = min(around, key=lambda box: box[2] * box[3])
        found[element.text] = (smallest[0], smallest[1], smallest[0] + smallest[2], smallest[1] + smallest[3])
    return found


def test_draw_layers_puts_siblings_beside_and_layers_below_one_another(checkout):
    boxes = boxes_by_word(draw_layers(read_import_rules(checkout)))
    assert boxes["left"][1] == boxes["right"][1]
    assert boxes["left"][2] < boxes["right"][0]
    assert boxes["top"][3] < boxes["left"][1] < boxes["left"][3] < boxes["bottom"][1]


def test_draw_layers_package_outside_stands_beside_the_highest_layer_it_may_import(checkout):
    boxes = boxes_by_word(draw_layers(read_import_rules(checkout)))
    assert boxes["outside"][1] == boxes["left"][1]


def test_draw_layers_changed_contract_changes_the_picture(checkout):
    before = draw_layers(read_import_rules(checkout))
    (checkout / "pyproject.toml").write_text(RULES.replace('"bottom"', '"middle", "bottom"'), encoding="utf-8")
    assert draw_layers(read_import_rules(checkout)) != before


def test_read_import_rules_without_layers_is_refused(checkout):
    (checkout / "pyproject.toml").write_text("[tool.importlinter]\ncontracts = []\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must hold one import-linter contract of type layers, got 0"):
        read_import_rules(checkout)


def test_read_pipeline_orders_stages_by_their_data_and_leaves_code_out(checkout):
    stages = read_pipeline(checkout)
    assert [stage.name for stage in stages] == ["fetch", "make@<each>", "judge"]
    assert stages[1].inputs == ("data/raw",)
    assert stages[1].members == ("naive", "clever")


def test_draw_pipeline_shows_stages_data_params_and_members(checkout):
    words = words_of(draw_pipeline(read_pipeline(checkout)))
    assert {"make@<each>", "make <each>", "Make <it> & more.", "data/made/<each>", "m.json", "naive", "clever"} <= set(
        words
    )
    assert "params: seed, families.<each>" in words


def test_draw_pipeline_draws_one_arrow_for_every_edge(checkout):
    arrows = list(parse(draw_pipeline(read_pipeline(checkout))).iter(f"{SVG}polyline"))
    # fetch to its 2 outputs, raw to make, make to its output, that and raw2 to judge, judge to its metrics.
    assert len(arrows) == 7


def test_draw_pipeline_edge_that_passes_a_stage_runs_beside_every_box(checkout):
    svg = draw_pipeline(read_pipeline(checkout))
    (detour,) = [each.get("points") for each in parse(svg).iter(f"{SVG}polyline") if each.get("points").count(",") == 4]
    lane = max(float(point.split(",")[0]) for point in detour.split())
    ground, *boxes = parse(svg).iter(f"{SVG}rect")
    assert all(float(box.get("x")) + float(box.get("width")) < lane < float(ground.get("width")) for box in boxes)


def test_pictures_have_a_title_and_a_description_that_they_are_labelled_by(checkout):
    for svg in (draw_layers(read_import_rules(checkout)), draw_pipeline(read_pipeline(checkout))):
        root = parse(svg)
        labels = root.get("aria-labelledby").split()
        assert root.get("role") == "img"
        assert [root.find(f"{SVG}{tag}").get("id") for tag in ("title", "desc")] == labels
        assert all(root.find(f"{SVG}{tag}").text for tag in ("title", "desc"))


def test_draw_layers_description_names_every_package(checkout):
    rules = read_import_rules(checkout)
    description = parse(draw_layers(rules)).find(f"{SVG}desc").text
    assert all(package in description for package in (*rules.packages, "outside", "heavy"))


def luminance(colour):
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_text_has_enough_contrast(scheme):
    style = Picture().render(name="n", title="t", description="d", width=1, height=1)
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    fills = dict(re.findall(r"(\.?[a-z]+) \{ fill: (#[0-9a-f]{6})", light if scheme == "light" else dark))
    pairs = [("text", ground) for ground in (".ground", ".box", ".data", ".metrics", ".other", ".chip")]
    pairs.append((".quiet", ".ground"))
    for text, ground in pairs:
        lower, higher = sorted((luminance(fills[text]), luminance(fills[ground])))
        assert (higher + 0.05) / (lower + 0.05) >= 4.5, f"{text} on {ground}"


def test_wrap_words_keeps_lines_within_the_width_and_loses_nothing():
    lines = wrap_words(["one", "two", "three", "extraordinarily"], width=80, character=10)
    assert lines == ["one two", "three", "extraordinarily"]
