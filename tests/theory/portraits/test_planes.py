"""Phase planes: fields, nullclines, equilibria, separatrices, basins, learning times and level sets."""

import json

import numpy as np
import pytest

import theory
from theory.exact.closed_form import closed_form
from theory.exact.limits import LEARNS, limits, verdicts
from theory.extensions.learning_times import TOLERANCE, time_to_learn
from theory.flow.coordinates import Slice, polar_descent, polar_loss
from theory.flow.integrate import LEARNED_BELOW, Event, integrate
from theory.losses.losses import Line, Population
from theory.losses.samples import Sample
from theory.portraits.curves import CURVE_KINDS, STABILITIES
from theory.portraits.planes import PLANES, level_sets, phase_plane

SIDEWAYS = np.array([0.6, -0.8])  # the direction of w_perp: any will do
VIEWS = {
    "line": {"plane": "line"},
    "uneven line": {"plane": "line", "c_plus": 0.3, "c_minus": 1.7},
    "balanced, a > 0": {"plane": "balanced"},
    "balanced, a < 0": {"plane": "balanced", "sign_a": -1},
    "c > 0, a > 0": {"plane": "slice", "c": 0.8},
    "c > 0, a < 0": {"plane": "slice", "c": 0.8, "sign_a": -1},
    "c < 0": {"plane": "slice", "c": -0.8},
}


@pytest.fixture(scope="module")
def planes():
    return {name: phase_plane(extent=2.0, grid=21, **view) for name, view in VIEWS.items()}


each_view = pytest.mark.parametrize("view", list(VIEWS))
slices = pytest.mark.parametrize("view", [view for view in VIEWS if "line" not in view])


def c_and_sign(view):
    return VIEWS[view].get("c", 0.0), VIEWS[view].get("sign_a", 1)


def state(view, x, y):
    """(a, w) of points of a plane; w is a number in `line` and a vector of three inputs elsewhere."""
    if "line" in view:
        return x, y
    c, sign = c_and_sign(view)
    a, r = (x, np.sqrt(x**2 - c)) if c < 0 else (sign * np.sqrt(x**2 + c), x)
    across = np.where(y == np.pi, 0.0, np.sin(y))
    return a, r[..., None] * np.stack([np.cos(y), *(across * part for part in SIDEWAYS)], axis=-1)


def velocity(view, x, y):
    """(x', y') from the gradient of the loss alone; theta below 0 and beyond pi turns w_perp round."""
    a, w = state(view, x, y)
    if "line" in view:
        moments = {key: value for key, value in VIEWS[view].items() if key != "plane"}
        da, dw = Line(**moments).gradient(a, w[..., None])
        return -da, -dw[..., 0]
    da, dw = Population(3).gradient(a, w)
    r = np.linalg.norm(w, axis=-1)
    turn = np.stack([-np.sin(y), *(np.cos(y) * part for part in SIDEWAYS)], axis=-1)
    first = -da if c_and_sign(view)[0] < 0 else -(dw * w).sum(-1) / r
    return first, -(dw * turn).sum(-1) / r


# --- the field and its nullclines


@pytest.mark.slow
@each_view
def test_the_field_is_minus_the_gradient(planes, view):
    plane = planes[view]
    x, y = np.meshgrid(plane.x, plane.y)
    inside = np.ones(x.shape, bool) if "line" in view else np.linalg.norm(state(view, x, y)[1], axis=-1) > 0
    want = velocity(view, x[inside], y[inside])
    np.testing.assert_allclose(plane.field_x[inside], want[0], atol=1e-14)
    np.testing.assert_allclose(plane.field_y[inside], want[1], atol=1e-14)
    assert inside.sum() >= 20 * 21


def test_the_field_of_other_moments_differs(planes):
    assert not np.allclose(planes["line"].field_x, planes["uneven line"].field_x)


def test_at_r_0_theta_has_no_speed_but_in_the_limit_of_balance(planes):
    for field in (planes["c > 0, a > 0"].field_x, planes["c > 0, a > 0"].field_y):
        assert np.isnan(field[:, 0]).all() and not np.isnan(field[:, 1:]).any()
    balanced = planes["balanced, a > 0"]
    np.testing.assert_allclose(balanced.field_y[:, 0], balanced.field_y[:, 10], atol=1e-15)
    assert not balanced.field_x[:, 0].any()


@each_view
def test_on_a_nullcline_the_named_component_is_zero(planes, view):
    found = [curve for curve in planes[view].curves if curve.kind == "nullcline"]
    assert found
    for curve in found:
        x, y = curve.points.T
        x = np.maximum(x, 1e-12) if planes[view].coordinates[0] == "r" else x
        component = planes[view].coordinates.index(curve.name.split("'")[0])
        assert abs(velocity(view, x, y)[component]).max() < 1e-12, curve.name


@pytest.mark.parametrize("view", ["c > 0, a > 0", "c < 0", "balanced, a > 0"])
def test_beside_a_nullcline_the_component_is_not_zero(planes, view):
    name = f"{planes[view].coordinates[0]}' = 0"
    x, y = next(curve.points[40:160] for curve in planes[view].curves if curve.name == name).T
    assert (velocity(view, x + 0.01, y)[0] < 0).all() and (velocity(view, x - 0.01, y)[0] > 0).all()


@each_view
def test_each_change_of_sign_of_the_field_lies_on_a_nullcline(planes, view):
    plane = planes[view]
    cell = np.array([plane.x[1] - plane.x[0], plane.y[1] - plane.y[0]])
    changes = 0
    for name, field in zip(plane.coordinates, (plane.field_x, plane.field_y), strict=True):
        curves = [curve.points / cell for curve in plane.curves if curve.name == f"{name}' = 0"]
        for axis in (0, 1):
            before, after = (np.take(field, range(i, 20 + i), axis=axis) for i in (0, 1))
            for row, column in np.argwhere(before * after < 0):
                node = np.array([plane.x[column], plane.y[row]]) / cell
                assert min(abs(points - node).max(axis=1).min() for points in curves) <= 1
                changes += 1
    assert changes or view in ("line", "uneven line", "balanced, a < 0", "c > 0, a < 0")  # there equilibria lie between


# --- verdicts, basins, separatrices


@each_view
def test_the_verdict_grid_is_that_of_theory_verdicts(planes, view):
    plane = planes[view]
    x, y = np.meshgrid(plane.x, plane.y)
    np.testing.assert_array_equal(plane.verdict, verdicts(*state(view, x, y)))


@each_view
def test_the_basin_polygon_holds_the_starts_that_learn_and_no_other(planes, view):
    plane, rng = planes[view], np.random.default_rng(5)
    x, y = (rng.uniform(axis[0], axis[-1], size=4000) for axis in (plane.x, plane.y))
    inside = np.zeros(x.shape, bool)
    for curve in plane.curves:
        if curve.kind == "basin":
            ends = np.roll(curve.points, -1, axis=0)
            turns = [
                (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in zip(curve.points, ends, strict=True)
            ]
            inside |= (np.array(turns) < 0).all(axis=0) | (np.array(turns) > 0).all(axis=0)
    learns = verdicts(*state(view, x, y)) == LEARNS
    np.testing.assert_array_equal(learns, inside)
    assert learns.any() == (view not in ("balanced, a < 0", "c > 0, a < 0"))


@pytest.mark.parametrize("view", ["line", "uneven line"])
def test_the_separatrix_of_one_input_tends_to_the_origin_along_itself(planes, view):
    moments = {key: value for key, value in VIEWS[view].items() if key != "plane"}
    (curve,) = (curve for curve in planes[view].curves if curve.kind == "separatrix")
    start = curve.points[1:]
    for time in (0.3, 2.0, 20.0):
        a, w = closed_form(*start.T, time, **moments)
        np.testing.assert_allclose(a, -w, rtol=1e-12)
    a, w = closed_form(*start.T, 200.0, **moments)
    assert np.hypot(a, w).max() < 1e-12
    for shift, word in ((1e-6, "learns"), (-1e-6, "fails")):
        assert theory.limit(start[-1, 0] + shift, start[-1, 1]).verdict == word


@slices
def test_the_line_theta_pi_parts_what_learns_from_what_does_not(planes, view):
    kinds = {curve.kind for curve in planes[view].curves if curve.name == "theta = pi"}
    a, w = state(view, np.array(0.7), np.array(np.pi))
    run = integrate(Population(3), float(a), w, 30.0)
    assert run.verdict != "learns" and not run.w[:, 1:].any()  # it stays on the ray
    beside = theory.limit(float(a), state(view, np.array(0.7), np.array(np.pi - 0.01))[1]).verdict
    assert (kinds == {"separatrix"}) == (beside == "learns")


@slices
def test_theta_0_and_theta_pi_are_invariant_and_no_other_angle_is(planes, view):
    x = np.linspace(0.2, 2, 7)
    for theta in (0.0, np.pi):
        assert abs(velocity(view, x, np.full(7, theta))[1]).max() < 1e-15
        assert any(np.ptp(curve.points[:, 1]) == 0 and curve.points[0, 1] == theta for curve in planes[view].curves)
    assert abs(velocity(view, x, np.full(7, 1.0))[1]).min() > 1e-3


def test_switching_lines_are_where_a_sign_changes(planes):
    for view, plane in planes.items():
        for curve in plane.curves:
            if curve.kind == "switching":
                a, w = state(view, *curve.points.T)
                value = a if curve.name == "a = 0" else w[:, 0]
                assert abs(value).max() < 1e-15


def test_the_field_jumps_across_the_kink_and_nowhere_else(planes):
    (kink,) = (curve for curve in planes["line"].curves if curve.kind == "kink")
    a = kink.points[:, 0]
    above, below = (np.array(velocity("line", a, np.full(a.shape, w))) for w in (1e-12, -1e-12))
    np.testing.assert_allclose((above - below)[1], 0.5 * a, atol=1e-11)
    left, right = (np.array(velocity("line", np.full(a.shape, x), a)) for x in (1e-12, -1e-12))
    assert abs(left - right).max() < 1e-10


# --- equilibria


@each_view
def test_the_field_is_zero_on_every_equilibrium_set(planes, view):
    for found in planes[view].equilibria:
        x, y = found.points.T
        if planes[view].coordinates[0] == "r" and not x.any():
            assert not state(view, x, y)[1].any()  # w = 0, at rest by relu'(0) = 0
            continue
        assert abs(np.array(velocity(view, x, y))).max() < 1e-12, found.name


# where each set's Jacobian is taken: set -> (view, shift off the set, columns compared)
SMOOTH = [
    ("line", "target, a w = 1", (0, 0), (0, 1)),
    ("uneven line", "target, a w = 1", (0, 0), (0, 1)),
    ("uneven line", "a = 0, w < 0", (0, 0), (0, 1)),
    ("uneven line", "w = 0, a < 0", (0, -1e-6), (0, 1)),
    ("uneven line", "w = 0, a > 0", (0, -1e-6), (0, 1)),
    ("uneven line", "origin", (0, 1e-6), (0, 1)),
    ("uneven line", "origin", (0, -1e-6), (2, 3)),
    ("balanced, a > 0", "target, a r = 1", (0, 0), (0, 1)),
    ("balanced, a > 0", "origin along e_1", (1e-5, 0), (0, 1)),
    ("balanced, a > 0", "origin along -e_1", (1e-5, 0), (0, 1)),
    ("balanced, a < 0", "origin along e_1", (1e-5, 0), (0, 1)),
    ("balanced, a < 0", "origin along -e_1", (1e-5, 0), (0, 1)),
    ("c > 0, a > 0", "target, a r = 1", (0, 0), (0, 1)),
    ("c > 0, a > 0", "w = 0 along -e_1", (1e-3, 0), (0, 1)),
    ("c > 0, a < 0", "w = 0 along -e_1", (1e-3, 0), (0, 1)),
    ("c < 0", "target, a r = 1", (0, 0), (0, 1)),
    ("c < 0", "a = 0, w on -e_1", (0, 0), (0, 1)),
]


def jacobian(view, x, y, h=1e-7):
    columns = [(np.array(velocity(view, x + i * h, y + j * h)) - velocity(view, x - i * h, y - j * h)) / (2 * h)
               for i, j in ((1, 0), (0, 1))]  # fmt: skip
    return np.stack(columns, axis=-1)


def named(plane, name):
    return next(found for found in plane.equilibria if found.name == name)


@pytest.mark.parametrize(("view", "name", "shift", "columns"), SMOOTH)
def test_eigenvalues_are_those_of_the_finite_difference_jacobian(planes, view, name, shift, columns):
    found = named(planes[view], name)
    for point, rates in zip(found.points[::20], found.eigenvalues[::20], strict=True):
        numeric = np.linalg.eigvals(jacobian(view, *(point + shift)))
        np.testing.assert_allclose(np.sort(numeric.real), np.sort(rates[list(columns)]), atol=2e-3)
        assert abs(numeric.imag).max() < 1e-6


def test_eigenvalues_of_other_moments_do_not_match_the_jacobian(planes):
    found = named(planes["line"], "target, a w = 1")
    numeric = np.linalg.eigvals(jacobian("uneven line", *found.points[0])).min()
    assert abs(numeric - found.eigenvalues[0, 1]) > 0.5


def test_every_set_with_eigenvalues_is_checked_against_a_jacobian(planes):
    checked = {(view.replace("uneven ", ""), name) for view, name, _, _ in SMOOTH}
    for view, plane in planes.items():
        for found in plane.equilibria:
            if not np.isnan(found.eigenvalues).all():
                assert (view.replace("uneven ", ""), found.name) in checked


def test_the_target_has_the_eigenvalues_of_the_hessian(planes):
    """D / 2 across the curve a r = 1 and a^2 / 2 across theta = 0 for d > 1; C+ D for one input."""
    for view in ("balanced, a > 0", "c > 0, a > 0", "c < 0"):
        c = c_and_sign(view)[0]
        found = named(planes[view], "target, a r = 1")
        a, w = state(view, *found.points.T)
        np.testing.assert_allclose(a * w[:, 0], 1, rtol=1e-15)
        np.testing.assert_allclose(found.eigenvalues[0], [-np.sqrt(4 + c**2) / 2, -(a[0] ** 2) / 2], rtol=1e-14)
    found = named(planes["line"], "target, a w = 1")
    c = found.points[:, 0] ** 2 - found.points[:, 1] ** 2
    np.testing.assert_allclose(found.eigenvalues[:, 1], -0.5 * np.sqrt(4 + c**2), rtol=1e-14)


def neighbours(view, found, size):
    """Starts at a distance `size` of each point on all sides that the plane has, and the point of each."""
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False) + 0.1
    points = found.points[::25]
    near = (points[:, None] + size * np.stack([np.cos(turns), np.sin(turns)], axis=1)).reshape(-1, 2)
    of = np.repeat(points, len(turns), axis=0)
    if "line" not in view:
        there = (near[:, 1] > 0) & (near[:, 1] < np.pi) & ((near[:, 0] > 0) | (c_and_sign(view)[0] < 0))
        near, of = near[there], of[there]
    return near, of


def distances(view, found, size):
    """How far from the set's point its neighbours end, in (a, w), by the exact limits."""
    near, of = neighbours(view, found, size)
    end_a, end_w, _ = limits(*state(view, *near.T))
    a, w = state(view, *of.T)
    w, end_w = (part.reshape(len(near), -1) for part in (w, end_w))
    return np.hypot(end_a - a, np.linalg.norm(end_w - w, axis=1)), near


@each_view
def test_neighbours_of_a_stable_set_stay_and_some_of_any_other_leave(planes, view):
    for found in planes[view].equilibria:
        if view == "balanced, a < 0":
            continue  # all of it tends to the origin, seen in the next test
        moved, _ = distances(view, found, 1e-6)
        assert (moved.max() < 1e-2) == (found.stability == "stable"), found.name
        assert moved.min() < 1e-2 or found.stability in ("unstable", "saddle"), found.name


def test_balanced_a_below_0_ends_on_the_ray_minus_e_1():
    run = integrate(Population(3), -1.0, [0.8, 0.6, 0.0], 400.0, rtol=1e-10)
    theta, r = np.arctan2(run.w[:, 1], run.w[:, 0]), np.linalg.norm(run.w, axis=1)
    assert (np.diff(theta) > 0).all() and (np.diff(r) < 0).all() and theta[-1] > 3.1 and r[-1] < 0.06


def test_a_half_stable_ray_attracts_from_below_and_repels_above(planes):
    moved, near = distances("line", named(planes["line"], "w = 0, a > 0"), 1e-4)
    assert moved[near[:, 1] < 0].max() < 1e-3 and moved[near[:, 1] > 0].min() > 0.1


@each_view
def test_eigenvalues_agree_with_the_word(planes, view):
    for found in planes[view].equilibria:
        rates = found.eigenvalues[~np.isnan(found.eigenvalues)]
        assert found.eigenvalues.shape == (len(found.points), len(found.directions))
        assert found.stability != "stable" or (rates <= 0).all()
        assert (rates <= 0).all() or found.stability == "saddle"


def test_the_slow_manifold_of_the_dead_point_repels_as_the_fifth_power_of_psi():
    """c < 0: eigenvalues c / 2 and 0 decide nothing; psi' = psi^5 / (6 pi^2 |c|) on the slow manifold does."""
    psi0, c = 0.3, -0.8
    start_a, r = psi0**3 / (3 * np.pi * np.sqrt(-c)), np.sqrt(-c)
    run = integrate(Population(2), start_a, [-r * np.cos(psi0), r * np.sin(psi0)], [50.0, 60.0], rtol=1e-11)
    psi = np.pi - np.arctan2(run.w[:, 1], run.w[:, 0])
    speed = (psi[1] - psi[0]) / 10
    assert speed == pytest.approx(psi.mean() ** 5 / (6 * np.pi**2 * -c), rel=0.05)


# --- time to learn


def test_the_default_tolerance_is_that_of_integrate():
    assert TOLERANCE == LEARNED_BELOW


@each_view
def test_times_are_missing_exactly_where_nothing_is_learned(planes, view):
    plane = planes[view]
    np.testing.assert_array_equal(np.isnan(plane.time_to_learn), plane.verdict != LEARNS)
    assert not np.isinf(plane.time_to_learn).any() and np.nanmin(plane.time_to_learn, initial=0) >= 0


@pytest.mark.parametrize("view", ["line", "uneven line"])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_one_input_reaches_the_tolerance_at_its_time_and_not_before(view, tolerance):
    plane = phase_plane(grid=21, tolerance=tolerance, **VIEWS[view])
    a, w = np.meshgrid(plane.x, plane.y)
    late = plane.time_to_learn > 0
    loss = Line(**plane.parameters).loss
    for factor, low, high in ((1.0, 1 - 1e-8, 1 + 1e-8), (1 - 1e-4, 1, 10)):
        end_a, end_w = closed_form(a[late], w[late], factor * plane.time_to_learn[late], **plane.parameters)
        share = loss(end_a, end_w[:, None]) / tolerance
        assert share.min() >= low and share.max() <= high
    early = plane.time_to_learn == 0
    assert late.sum() > 100 and (loss(a[early], w[early][:, None]) <= tolerance).all()


def test_times_of_one_input_keep_their_digits_beside_the_separatrix():
    gaps = 10.0 ** -np.arange(2.0, 12.0)
    times = time_to_learn(gaps - 1.0, np.ones(10))
    np.testing.assert_allclose(np.diff(times), 2 * np.log(10), rtol=1e-2)
    a, w = closed_form(gaps - 1.0, 1.0, times)
    np.testing.assert_allclose((a * w - 1) ** 2 / 4, 1e-6, rtol=1e-8)
    assert np.isnan(time_to_learn(-1.0, 1.0))


def test_a_larger_moment_is_a_faster_clock():
    a, w = np.array([-0.5, 0.3, 2.0]), np.array([1.0, 0.2, 1.5])
    np.testing.assert_allclose(time_to_learn(a, w, 4e-6, c_plus=2.0), time_to_learn(a, w, 1e-6) / 4, rtol=1e-13)
    assert not np.allclose(time_to_learn(a, w, 1e-6, c_plus=2.0), time_to_learn(a, w, 1e-6) / 4, rtol=1e-6)


def first_time(a0, w0, tolerance):
    """The first time at which a run of `integrate` is down to the tolerance."""
    loss = Population(len(w0))
    done = Event("learned", lambda t, a, w: float(loss.loss(a, w)) - tolerance, direction=-1)
    run = integrate(loss, a0, w0, 1e5, rtol=1e-12, atol=1e-15, events=[done])
    return dict(run.events)["learned"]


STARTS = [  # every balance; opposite, near 0, near the rays, past the target
    (1.0, [-0.8, 0.6]), (0.5, [0.3, 0.4]), (-0.5, [-0.3, 0.9]), (2.0, [-1.0, 0.1]), (2.0, [1e-3, 1e-3]),
    (2.0, [-1e-2, 1e-4]), (0.01, [0.01, 0.02]), (-0.7, [0.8, 1e-3]), (-0.7, [0.8, 0.0]), (3.0, [1.0, 2.0]),
    (0.0, [0.0, 1.0]), (-0.9, [0.1, 0.3, -0.9]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("a0", "w0"), STARTS)
def test_several_inputs_learn_when_integrate_says(a0, w0):
    for tolerance in (1e-3, 1e-6):
        assert time_to_learn(a0, w0, tolerance) == pytest.approx(first_time(a0, w0, tolerance), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["balanced, a > 0", "c > 0, a > 0", "c < 0"])
def test_the_grid_of_times_is_that_of_integrate(planes, view):
    plane = planes[view]
    for row, column in ((3, 4), (10, 12), (16, 7), (0, 15)):
        a, w = state(view, plane.x[column], plane.y[row])
        want = first_time(float(a), w, plane.tolerance)
        assert plane.time_to_learn[row, column] == pytest.approx(want, rel=1e-6)


def test_along_the_target_several_inputs_take_the_time_of_one():
    a, w = np.array([-0.5, 0.2, 1.5, 3.0]), np.array([1.0, 0.3, 0.1, 2.0])
    along = np.stack([w, 0 * w, 0 * w], axis=1)
    np.testing.assert_allclose(time_to_learn(a, along), time_to_learn(a, w), rtol=1e-6)


def opposite(c, psi):
    """Starts at the angle pi - psi with a^2 - |w|^2 = c, |c| or 1 the larger square."""
    a, r = (np.sqrt(1 + c), 1.0) if c >= 0 else (0.0, np.sqrt(-c))
    return np.full(psi.shape, a), np.stack([-r * np.cos(psi), r * np.sin(psi)], axis=-1)


@pytest.mark.slow
def test_leaving_the_ray_takes_2_pi_over_psi_if_balanced():
    psi = np.array([1e-4, 1e-5])
    np.testing.assert_allclose(time_to_learn(*opposite(0.0, psi)) * psi, 2 * np.pi, rtol=1e-2)


@pytest.mark.slow
def test_leaving_the_ray_takes_a_logarithm_if_a_is_larger():
    psi = np.array([1e-6, 1e-8])
    assert np.diff(time_to_learn(*opposite(0.8, psi)))[0] == pytest.approx(2 / 0.8 * np.log(100), rel=1e-2)


@pytest.mark.slow
def test_leaving_the_ray_takes_the_fourth_power_of_psi_if_w_is_larger():
    psi = np.array([1e-2, 1e-3])
    np.testing.assert_allclose(time_to_learn(*opposite(-0.8, psi)) * psi**4, 1.5 * np.pi**2 * 0.8, rtol=1e-3)


@slices
def test_the_loss_in_polar_coordinates_is_the_population_loss_and_its_descent_the_square_of_the_gradient(view):
    x, y = (part.ravel() for part in np.meshgrid([0.3, 0.9, 1.7], [0.0, 0.1, 1.0, 2.5, 3.1]))
    a, w = state(view, x, y)
    r, psi = np.linalg.norm(w, axis=1), np.pi - y
    np.testing.assert_allclose(polar_loss(a, r, psi), Population(3).loss(a, w), atol=1e-15)
    da, dw = Population(3).gradient(a, w)
    np.testing.assert_allclose(polar_descent(a, r, psi), da**2 + (dw**2).sum(axis=1), rtol=1e-12)


@slices
def test_the_jacobian_of_a_slice_is_the_derivative_of_its_velocity(view):
    flow, h = Slice(*map(float, c_and_sign(view))), 1e-6
    x, psi = (part.ravel() for part in np.meshgrid([0.3, 0.9, 1.7], [0.1, 1.0, 2.5]))
    exact = flow.jacobian(x, psi)
    for column, step in enumerate(((h, 0), (0, h))):
        ahead, behind = (flow.velocity(x + side * step[0], psi + side * step[1]) for side in (1, -1))
        for row in (0, 1):
            np.testing.assert_allclose(exact[row][column], (ahead[row] - behind[row]) / (2 * h), atol=1e-8)


def test_a_start_out_of_reach_is_an_error_and_not_a_number(monkeypatch):
    monkeypatch.setattr("theory.extensions.learning_times.MOST_STEPS", 5)
    with pytest.raises(ValueError, match="too close to the ray"):
        time_to_learn(1.0, [-0.8, 0.6])


# --- level sets, paths


def test_level_sets_hold_c_and_trajectories_stay_on_them():
    curves = level_sets([-1.5, 0.0, 0.7], extent=2.0)
    assert [curve.name for curve in curves] == ["c = -1.5"] * 2 + ["c = 0"] * 2 + ["c = 0.7"] * 2
    for curve in curves:
        c = float(curve.name[4:])
        a, w = curve.points.T
        np.testing.assert_allclose(a**2 - w**2, c, atol=1e-14)
        assert abs(curve.points).max() == pytest.approx(2.0)
        later_a, later_w = closed_form(a, w, 1.3)
        np.testing.assert_allclose(later_a**2 - later_w**2, c, atol=1e-13)
        assert (abs(later_a**2 - 2 * later_w**2 - (a**2 - 2 * w**2)).max()) > 0.1  # another form is not conserved


@pytest.mark.slow
def test_levels_that_miss_the_plane_are_left_out(planes):
    assert level_sets([4.0, -9.0], extent=2.0) == ()
    assert {curve.name for curve in planes["line"].curves if curve.kind == "level"} == {
        f"c = {c}" for c in (-2, -1, 0, 1, 2)
    }
    assert not [curve for curve in planes["c < 0"].curves if curve.kind == "level"]  # c is the plane itself
    assert [c.name for c in phase_plane("line", grid=3, levels=[1.0]).curves if c.kind == "level"] == ["c = 1"] * 2


@each_view
def test_a_path_runs_along_the_field(planes, view):
    x0, y0 = np.array(1.1), np.array(2.0 if "line" not in view else 0.6)
    a0, w0 = state(view, x0, y0)
    moments = {key: value for key, value in VIEWS[view].items() if key.startswith("c_")}
    loss = Line(**moments) if "line" in view else Population(3)
    run = integrate(loss, float(a0), w0, [0.0, 1e-5], rtol=1e-12)
    points = planes[view].path(run.a, run.w)
    np.testing.assert_allclose(points[0], [x0, y0], atol=1e-15)
    np.testing.assert_allclose((points[1] - points[0]) / 1e-5, velocity(view, x0, y0), rtol=1e-4, atol=1e-9)


def test_a_path_of_one_input_may_have_no_axis_for_it(planes):
    a, w = closed_form(1.0, 0.5, [0.0, 1.0])
    np.testing.assert_array_equal(planes["line"].path(a, w), np.stack([a, w], axis=1))


# --- the registry, losses, bad input


@pytest.mark.parametrize("name", list(PLANES))
def test_every_plane_of_the_registry_is_whole(name):
    plane = phase_plane(name, grid=7)
    assert plane.name == name and json.loads(json.dumps(plane.parameters, allow_nan=False)) == plane.parameters
    for part in (plane.field_x, plane.field_y, plane.verdict, plane.time_to_learn):
        assert part.shape == (7, 7)
    assert {curve.kind for curve in plane.curves} <= set(CURVE_KINDS) and plane.equilibria
    assert {found.stability for found in plane.equilibria} <= set(STABILITIES)
    for part in (*plane.curves, *plane.equilibria):
        low, high = np.array([plane.x[0], plane.y[0]]), np.array([plane.x[-1], plane.y[-1]])
        assert part.points.ndim == 2 and (part.points >= low).all() and (part.points <= high).all()


@pytest.mark.parametrize(
    ("loss", "moments"),
    [
        (Line(0.3, 1.7), (0.3, 1.7)),
        (Population(1), (0.5, 0.5)),
        (Sample([[1.0], [-2.0]], [1.0, 0.0]), (0.5, 2.0)),
    ],
)
def test_a_loss_of_one_input_is_the_line_of_its_moments(loss, moments):
    plane, same = phase_plane(loss, grid=9), phase_plane("line", grid=9, c_plus=moments[0], c_minus=moments[1])
    assert plane.parameters == same.parameters
    np.testing.assert_array_equal(plane.field_x, same.field_x)


@pytest.mark.slow
def test_a_slice_at_c_0_is_the_balanced_plane(planes):
    same = phase_plane("slice", c=0.0, grid=21)
    np.testing.assert_array_equal(same.time_to_learn, planes["balanced, a > 0"].time_to_learn)
    assert [found.name for found in same.equilibria] == [found.name for found in planes["balanced, a > 0"].equilibria]


def test_what_lies_outside_the_extent_is_left_out():
    assert "target, a w = 1" not in [found.name for found in phase_plane("line", extent=0.5, grid=5).equilibria]
    assert "target, a r = 1" not in [found.name for found in phase_plane("balanced", extent=0.5, grid=5).equilibria]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"plane": "lime"}, "unknown plane 'lime': did you mean 'line'. Known"),
        ({"plane": "line", "c_plsu": 1.0}, "unknown parameter of the plane 'line' 'c_plsu': did you mean 'c_plus'"),
        ({"plane": "balanced", "c": 1.0}, "unknown parameter of the plane 'balanced' 'c'"),
        ({"extent": 0.0}, "extent must be above 0, got 0"),
        ({"extent": -1.0}, "extent must be above 0, got -1"),
        ({"extent": np.nan}, "extent must"),
        ({"extent": "wide"}, "extent must"),
        ({"grid": 1}, "grid must be a whole number, at least 2, got 1"),
        ({"grid": 2.5}, "grid must be a whole number"),
        ({"tolerance": 0.0}, "tolerance must lie above 0 and below 0.25"),
        ({"tolerance": np.nan}, "tolerance must"),
        ({"plane": "balanced", "tolerance": 0.3}, "tolerance must lie above 0 and below 0.25"),
        ({"c_plus": 0.0}, "c_plus must be above 0"),
        ({"c_minus": -1.0}, "c_minus must be a second moment"),
        ({"levels": [np.nan]}, "levels must be finite"),
        ({"plane": "balanced", "sign_a": 0}, "sign_a must be 1 or -1, got 0"),
        ({"plane": "slice", "c": -1.0, "sign_a": -1}, "sign_a has no meaning where c < 0"),
        ({"plane": "slice", "c": np.inf}, "c must"),
        ({"plane": "slice", "c": 1e-14}, "c must be 0 or more than rounding"),
        ({"plane": Population(2)}, "a loss has a plane if it has one input, got Population"),
        ({"plane": Line(k_plus=-1.0)}, "the target must be relu"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        phase_plane(**arguments)


def test_time_to_learn_names_bad_starts():
    for a0, w0, message in ((np.nan, 1.0, "a0 must be finite"), (1.0, [[1.0, 0.0]], "w0 must have the shape of a0")):
        with pytest.raises(ValueError, match=message):
            time_to_learn(a0, w0)
