"""What the server runs beside the commands."""

from __future__ import annotations

import numpy as np

from tcc.dtw import accumulate, accumulate_common


def warm_up() -> None:
    """Load the code that Numba has compiled, before the first fork."""
    accumulate(np.zeros((3, 3)))
    accumulate_common(np.zeros((3, 3)))
