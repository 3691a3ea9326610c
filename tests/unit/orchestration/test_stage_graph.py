from pathlib import Path

import pytest

from restock.errors import ConfigurationError
from restock.orchestration.stage_graph import read_stage_graph
from restock.params import read_param_values

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = """
vars:
  - code: src
stages:
  first: {cmd: a, outs: [data/one], deps: ["${code}/a.py"]}
  each:
    foreach: ${names}
    do: {cmd: "b ${item}", desc: "Does ${item}.", deps: [data/one], outs: ["data/each/${item}"]}
  last: {cmd: c, deps: [data/each], metrics: [{m.json: {cache: false}}]}
  aside: {cmd: d, deps: [m.json]}
"""


@pytest.fixture
def pipeline(tmp_path):
    path = tmp_path / "dvc.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


def test_read_stage_graph_expands_and_orders_what_the_last_stage_needs(pipeline):
    stages = read_stage_graph(pipeline, params={"names": ["x", "y"]}, final="last")
    assert [stage.name for stage in stages] == ["first", "each@x", "each@y", "last"]
    assert stages[1].item == "x"
    assert stages[1].description == "Does x."
    assert stages[3].upstream == ("each@x", "each@y")


def test_read_stage_graph_metrics_count_as_outputs(pipeline):
    stages = read_stage_graph(pipeline, params={"names": ["x"]}, final="aside")
    assert stages[-1].upstream == ("last",)


def test_read_stage_graph_unknown_stage_names_those_there_are(pipeline):
    with pytest.raises(ConfigurationError, match="has no stage 'lost', has first, each@x, last, aside"):
        read_stage_graph(pipeline, params={"names": ["x"]}, final="lost")


def test_read_stage_graph_unknown_reference_is_named(pipeline):
    with pytest.raises(ConfigurationError, match=r"refers to \$\{names\}, which params.yaml does not have"):
        read_stage_graph(pipeline, params={}, final="last")


def test_read_stage_graph_agrees_with_dvc():
    from dvc.repo import Repo

    stages = read_stage_graph(ROOT / "dvc.yaml", params=read_param_values(ROOT / "params.yaml"), final="optimize")
    ours = {(before, stage.name) for stage in stages for before in stage.upstream}
    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph
        theirs = {(before.addressing, after.addressing) for after, before in graph.edges()}
    assert ours == theirs
