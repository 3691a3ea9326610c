"""Values of a params.yaml changed in place: not one other character of the file is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from restock.adapters.storage import write_text
from restock.errors import ConfigurationError


def set_param_values(path: Path, changes: Mapping[str, float]) -> None:
    """Write values into a params.yaml, all of them or none; comments, order and layout stay as they are.

    Args:
        path: the file.
        changes: by dotted key, such as `families.xgboost.max_depth`; every key must hold a plain value already.

    Raises:
        ConfigurationError: the file is missing or not YAML, or a key is not there or holds more than a plain value.
    """
    try:
        # Not read as text, which would make one line end of another.
        text = path.read_bytes().decode("utf-8")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} can't be read as YAML: {error}.") from error
    places = {key: _find_scalar(document, key, path=path) for key in changes}
    # From the end, so that the places before stay where they are.
    for key in sorted(places, key=lambda each: places[each].start_mark.index, reverse=True):
        first, end = places[key].start_mark.index, places[key].end_mark.index
        # Written as YAML writes it: 1e-05, as Python has it, would be read as a text.
        text = text[:first] + yaml.safe_dump(changes[key]).splitlines()[0] + text[end:]
    write_text(path, text, mode=path.stat().st_mode & 0o777)


def _find_scalar(document: yaml.Node | None, key: str, *, path: Path) -> yaml.ScalarNode:
    """Return the node of a dotted key's value.

    Raises:
        ConfigurationError: it is not there, or no plain value.
    """
    node = document
    for part in key.split("."):
        below = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in below if name.value == part), None)
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigurationError(f"{path} has no plain value at {key}. `restock params` prints what there is.")
    return node
