"""Named random streams: each part of the simulation draws from its own, so that no part's draws move another's."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What is drawn from a stream; the number is part of the seed and never reused."""

    CATALOGUE = 0
    CHAIN = 1
    SUPPLIERS = 2
    PRICES = 3
    DEMAND_RATE = 4
    DEMAND = 5
    SHOPPING = 6
    DELIVERIES = 7
    CLERKS = 8
    LOSSES = 9
    RETURNS = 10
    COUNTS = 11
    FRAUD = 12
    BOOKING = 13
    PLANNER = 14


def random_stream(seed: int, stream: Stream) -> np.random.Generator:
    """Return the generator of one stream: the child that `SeedSequence(seed).spawn` would give under its number.

    Args:
        seed: >= 0.
        stream: what will be drawn.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream),)))
