"""Which family forecasts a data set best: each back-tested on the same held-out days, the best one named."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Literal

from restock.errors import InsufficientHistoryError
from restock.params import FamilyName

logger = logging.getLogger(__name__)

Score = dict[str, float]
Advance = Callable[[int, int], None]
# Shows one step of the work: a function of (done, total) for as long as the step takes.
ShowProgress = Callable[[str], AbstractContextManager[Advance]]

# Whole panels at once, where every series sees its peers: not families that can be served a single series.
CROSS_SECTION: Final = "cross_section"
SHRUNKEN_LEVELS: Final = "shrunken_levels"
Contender = FamilyName | Literal["cross_section", "shrunken_levels"]

BASELINE: FamilyName = "seasonal_naive"


@dataclass(frozen=True, kw_only=True)
class FamilyRace:
    """How the families did on the held-out days.

    Attributes:
        scores: score of every family that could be fitted.
        seconds: wall time of each back-test.
        skipped: why a family could not be fitted, by family.
        best: the family that is refitted on all data.
    """

    scores: dict[str, Score]
    seconds: dict[str, float]
    skipped: dict[str, str]
    best: Contender


def race_families(
    families: Sequence[Contender], back_test: Callable[[Contender], Score], *, by: Callable[[Score], float]
) -> FamilyRace:
    """Return the scores of all families and the best of those asked for; seasonal naive is always scored beside them.

    Args:
        families: those to choose from, at least one.
        back_test: gives a family's score.
        by: what makes one score better than another: the lowest wins, the first named at a draw.

    Raises:
        InsufficientHistoryError: none of `families` could be fitted.
    """
    scores: dict[str, Score] = {}
    seconds: dict[str, float] = {}
    skipped: dict[str, str] = {}
    for family in dict.fromkeys([BASELINE, *families]):
        begun = time.monotonic()
        try:
            scores[family] = back_test(family)
        except InsufficientHistoryError as error:
            logger.warning("%s is left out of the back-test: %s", family, error)
            skipped[family] = str(error)
            continue
        seconds[family] = time.monotonic() - begun
        logger.info("back-test of %s: %s, %.1f s", family, scores[family], seconds[family])
    candidates = [family for family in dict.fromkeys(families) if family in scores]
    if not candidates:
        raise InsufficientHistoryError(f"none of {', '.join(families)} could be fitted: {'; '.join(skipped.values())}")
    best = min(candidates, key=lambda family: by(scores[family]))
    return FamilyRace(scores=scores, seconds=seconds, skipped=skipped, best=best)
