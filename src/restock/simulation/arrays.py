"""Array types of the simulation; axes are (sku), (sku, location), (sku, location, day), the warehouse last of locations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
