"""The Runge-Kutta methods of the compiled flows, as tableaux.

Order 8 is DOP853 of Hairer, Norsett and Wanner, with scipy's coefficients; order 5 is RK5(4)7M of Dormand and Prince,
https://doi.org/10.1016/0771-050X(80)90013-3. The steppers are apart, since they differ for a reason: a block of lanes
(`theory.compiled.population`), kinks (`theory.compiled.sample`), and neurons that die (`theory.compiled.hidden`).
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import DOP853

# Row s of A weighs the slopes before stage s, B those of the whole step; the slope at its end is the first of the next
# step. E3 and E5 weigh them to two estimates of the error.
ORDER_8_STAGES = 12
ORDER_8_A = np.ascontiguousarray(DOP853.A)
ORDER_8_B = np.ascontiguousarray(DOP853.B)
ORDER_8_E3 = np.ascontiguousarray(DOP853.E3)
ORDER_8_E5 = np.ascontiguousarray(DOP853.E5)

# Row s weighs the slopes before stage s + 1; the last row is the whole step.
ORDER_5_A = np.array([
    [1 / 5, 0, 0, 0, 0, 0],
    [3 / 40, 9 / 40, 0, 0, 0, 0],
    [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
])  # fmt: skip
ORDER_5_ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
