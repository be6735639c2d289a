"""The path that a plane gives is that of its own flow: against `integrate`, and against the plane's own field."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from theory.exact.closed_form import closed_form
from theory.flow.coordinates import Slice
from theory.flow.integrate import integrate
from theory.losses.losses import Line, Population
from theory.portraits.planes import PLANES, phase_plane

pytestmark = pytest.mark.slow

TIMES = np.linspace(0.0, 4.0, 9)
LINES = [{}, {"c_plus": 0.8}, {"c_plus": 0.3, "c_minus": 1.7}, {"c_plus": 2.0, "c_minus": 0.1}]
STARTS = [(-0.6, 1.5), (1.0, 0.5), (-1.5, 0.5), (0.7, -1.2), (-0.5, 0.5)]
SEVERAL = {  # plane -> parameters, c, sign of a
    "balanced": [({}, 0.0, 1), ({"sign_a": -1}, 0.0, -1)],
    "slice": [({"c": 0.8}, 0.8, 1), ({"c": 0.8, "sign_a": -1}, 0.8, -1), ({"c": -0.8}, -0.8, 1), ({"c": -2.0}, -2, -1)],
}  # fmt: skip
CASES = [(plane, *case) for plane, cases in SEVERAL.items() for case in cases]
DIRECTIONS = [np.array([0.6, -0.8]), np.array([-0.8, 0.36, 0.48])]


def plane(name, **parameters):
    return phase_plane(name, grid=5, **parameters)


def start(c, sign, direction, size=0.9):
    """A start (a0, w0) with a^2 - |w|^2 = c and a of the given sign."""
    r = size if c >= 0 else np.hypot(size, np.sqrt(-c))
    return sign * np.sqrt(r * r + c), r * direction


def test_every_plane_has_a_case_here():
    assert set(PLANES) == {"line", *SEVERAL}


@pytest.mark.parametrize("parameters", LINES)
@pytest.mark.parametrize(("a0", "w0"), STARTS)
def test_the_path_of_one_input_is_that_of_its_own_moments(parameters, a0, w0):
    found = plane("line", **parameters).trajectory(a0, w0, TIMES)
    run = integrate(Line(**parameters), a0, w0, TIMES)
    np.testing.assert_allclose(found, np.stack([run.a, run.w[:, 0]], axis=1), atol=1e-7)


def test_another_moment_gives_another_path():
    usual, other = (plane("line", c_plus=c).trajectory(-0.6, 1.5, [0.0, 1.0])[1] for c in (0.5, 0.8))
    np.testing.assert_allclose(usual, np.ravel(closed_form(-0.6, 1.5, 1.0)))
    assert abs(usual - other).max() > 0.01


@pytest.mark.parametrize("direction", DIRECTIONS, ids=["d = 2", "d = 3"])
@pytest.mark.parametrize(("name", "parameters", "c", "sign"), CASES)
def test_the_path_of_several_inputs_is_integrated_and_follows_the_field_of_the_plane(
    name, parameters, c, sign, direction
):
    a0, w0 = start(c, sign, direction)
    view = plane(name, **parameters)
    found = view.trajectory(a0, w0, TIMES)
    run = integrate(Population(len(w0)), a0, w0, TIMES)
    np.testing.assert_allclose(found, view.path(run.a, run.w), atol=1e-12)
    flow = Slice(c, float(sign))

    def field(_, y):
        return np.ravel(flow.velocity(y[0], y[1]))

    x0, theta0 = found[0]
    alone = solve_ivp(field, (0, TIMES[-1]), [x0, np.pi - theta0], t_eval=TIMES, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found, np.stack([alone.y[0], np.pi - alone.y[1]], axis=1), atol=1e-6)
    assert np.ptp(found, axis=0).max() > 0.05, "the start moves"


@pytest.mark.parametrize(
    ("name", "parameters", "a0", "w0", "words"),
    [
        ("line", {}, 1.0, [0.5, 0.5], "plane is that of one input"),
        ("balanced", {}, 1.0, 1.0, "plane is that of several inputs"),
        ("balanced", {}, 1.0, [0.5, 0.5], "must have a0\\^2 - \\|w0\\|\\^2 = 0, got 0.5"),
        ("slice", {"c": 0.8}, 0.5, [0.3, 0.4], "pass c = 0 to the plane"),
        ("balanced", {}, -0.5, [0.3, 0.4], "pass sign_a = -1"),
        ("line", {}, float("nan"), 1.0, "a0"),
    ],
)
def test_a_start_outside_the_plane_is_refused_and_the_error_says_what_to_do(name, parameters, a0, w0, words):
    with pytest.raises(ValueError, match=words):
        plane(name, **parameters).trajectory(a0, w0, TIMES)


def test_a_path_is_drawn_by_the_portrait():
    from figures import phase_portrait

    view = plane("line", c_plus=0.8)
    figure = phase_portrait(view, paths=[view.trajectory(-0.6, 1.5, TIMES)])
    assert any("trajectory" in text.get_text() for legend in figure.legends for text in legend.get_texts())


def test_a_plane_that_states_no_flow_draws_no_other_planes_trajectory():
    bare = dataclasses.replace(plane("line"), flow=None)
    with pytest.raises(ValueError, match="the plane 'line' states no flow: give it one"):
        bare.trajectory(-0.6, 1.5, TIMES)
    still = dataclasses.replace(
        plane("line"), flow=lambda a0, w0, times: (np.full(len(times), a0), np.full(len(times), w0))
    )
    assert np.ptp(still.trajectory(-0.6, 1.5, TIMES), axis=0).tolist() == [0.0, 0.0], (
        "its own flow, not that of its name"
    )
