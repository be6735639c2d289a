"""The figures of the numerical sweeps say what their result files say."""

import copy

import numpy as np
import pytest

from figures.catalogue import FIGURES
from figures.plots.style import drawing_style
from figures.results.fields import ResultError
from figures.results.network import Records, TheoryResult
from figures.results.neuron import check_values

pytestmark = pytest.mark.slow

NAMES = ("large-steps", "hidden-neurons")


def drawn(name, records, change=None):
    """The figure of one experiment, with its values changed."""
    result = records.theory[name]
    values, arrays = copy.deepcopy(dict(result.values)), dict(result.arrays)
    if change:
        change(values)
    changed = TheoryResult(name, result.params, values, arrays, result.command, result.provenance, ())
    with drawing_style():
        return FIGURES[name].draw(Records(theory={name: changed}))


def points(axes, label):
    """x and y of the line or the markers of that label."""
    lines = [line for line in axes.lines if line.get_label() == label]
    lines += [c.lines[0] for c in axes.containers if c.get_label() == label]
    assert len(lines) == 1
    return np.asarray(lines[0].get_xydata(), float)


# --- large-steps


def test_the_steps_to_learn_are_those_of_the_file(drawings, records):
    values, horizon = records.theory["large-steps"].values, records.theory["large-steps"].params["max_steps"]
    drawing = drawings["large-steps"]
    axes = drawing.figure.axes[0]
    for start in values["starts"]:
        name = f"d = 2, θ₀ = {start['angle']:g}"
        xy = points(axes, name)
        learned = [status == "learned" for status in start["status"]]
        assert np.isnan(xy[:, 1]).tolist() == [not ok for ok in learned]
        assert xy[learned, 1].tolist() == [n for n, ok in zip(start["steps"], learned, strict=True) if ok]
        assert xy[:, 0].tolist() == values["step"] == drawing.plotted["steps to learn"]["step"]
        assert drawing.plotted["steps to learn"][name]["learned"] == learned
    late = sum(s == "max_steps" for start in values["starts"] for s in start["status"])
    assert (
        late > 0 and f"not learned by then ({late} runs)" in drawing.caption and f"{horizon:,} steps" in drawing.caption
    )
    opened = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert sum(len(line.get_xdata()) for line in opened) == late


def test_loss_and_c_are_drawn_as_the_file_has_them(drawings, records):
    drawing, result = drawings["large-steps"], records.theory["large-steps"]
    for axes, part in zip(drawing.figure.axes[1:3], ("loss", "c"), strict=True):
        for i, run in enumerate(result.values["shown"]):
            y = result.arrays[f"shown_{i}_{part}"]
            assert drawing.plotted[part][f"d = {run['d']}, step {run['step']:g}"][part] == y.tolist()
            if run["d"] == 2:
                assert points(axes, f"step {run['step']:g}")[:, 1].tolist() == y.tolist()


def test_a_run_at_rest_is_drawn_on_to_the_horizon_and_no_other(drawings, records):
    horizon = records.theory["large-steps"].params["max_steps"]
    alone = [line for line in drawings["large-steps"].figure.axes[1].lines if line.get_label() == "d = 1"]
    assert len(alone) == 4 and all(line.get_xdata()[-1] == horizon for line in alone)
    assert points(drawings["large-steps"].figure.axes[1], "step 1")[-1, 0] < horizon


def test_a_run_in_one_dimension_that_learned_would_be_told(records):
    words = "where {} of 15 runs learn"
    assert words.format(0) in drawn("large-steps", records).caption

    def learns(values):
        values["d1"]["status"][3] = "learned"
        values["d1"]["least_loss"][3] = 1e-7
        values["d1"]["largest_c"] = 2e-16

    changed = drawn("large-steps", records, learns)
    assert words.format(1) in changed.caption and "no loss falls below 1e-07" in changed.caption
    assert len(points(changed.figure.axes[0], "d = 1: not learned")) == 14
    assert "exactly 0" not in " ".join(text.get_text() for text in changed.figure.axes[2].texts)


def test_the_stable_region_is_the_formula_and_the_caption_has_its_ends(drawings, records):
    pushed, drawing = records.theory["large-steps"].values["pushed"], drawings["large-steps"]
    edge = drawing.plotted["pushed"]["stable"]
    np.testing.assert_allclose(4 / np.hypot(2, edge["edge"]), edge["step"], rtol=1e-12)
    stays = max(s for m in pushed["minima"] for s, left in zip(m["step"], m["left"], strict=True) if not left)
    leaves = min(s for m in pushed["minima"] for s, left in zip(m["step"], m["left"], strict=True) if left)
    limit = pushed["minima"][0]["limit"]
    assert stays < limit < leaves and f"up to step {stays:g} come back; from {leaves:g}" in drawing.caption
    for minimum in pushed["minima"]:
        done = np.array(minimum["status"]) == "learned"
        xy = points(drawing.figure.axes[3], f"pushed off c = {minimum['balance']:g}")
        np.testing.assert_array_equal(xy, np.stack([minimum["step"], minimum["c"]], 1)[done])


# --- hidden-neurons


def test_shares_intervals_and_heuristics_are_those_of_the_file(drawings, records):
    values, drawing = records.theory["hidden-neurons"].values, drawings["hidden-neurons"]
    for axes, d in zip(drawing.figure.axes, values["dimensions"], strict=False):
        cells = [cell for cell in values["cells"] if cell["d"] == d]
        for rule, name in (("imp", "IMP"), ("lrr", "LRR")):
            share = [cell[rule]["successes"] / cell[rule]["trials"] for cell in cells]
            assert points(axes, name)[:, 1].tolist() == share == drawing.plotted[f"d = {d}"][rule]["share"]
            (container,) = [c for c in axes.containers if c.get_label() == name]
            ends = [segment[:, 1].tolist() for segment in container.lines[2][0].get_segments()]
            np.testing.assert_allclose(ends, [[cell[rule]["low"], cell[rule]["high"]] for cell in cells])
            base = {"imp": "1 - (3/4)ᵏ, heuristic", "lrr": "1 - (1/2)ᵏ, heuristic"}[rule]
            assert points(axes, base)[:, 1].tolist() == [cell[rule]["heuristic"] for cell in cells]


def test_the_difference_is_lrr_less_imp_and_paired(drawings, records):
    values, drawing = records.theory["hidden-neurons"].values, drawings["hidden-neurons"]
    axes = drawing.figure.axes[3]
    for d in values["dimensions"]:
        cells = [cell for cell in values["cells"] if cell["d"] == d]
        lead = [cell["difference"]["lrr - imp"]["value"] for cell in cells]
        assert points(axes, f"d = {d}")[:, 1].tolist() == lead == drawing.plotted["difference"][f"d = {d}"]["value"]
        own = [(cell["lrr"]["successes"] - cell["imp"]["successes"]) / cell["imp"]["trials"] for cell in cells]
        assert lead == pytest.approx(own)
    assert "paired by start" in drawing.caption


def test_the_caption_counts_what_is_undecided_and_what_goes_against_the_heuristic(drawings, records):
    cells, caption = records.theory["hidden-neurons"].values["cells"], drawings["hidden-neurons"].caption
    late = {rule: sum(cell[rule]["undecided"][-1] for cell in cells) for rule in ("imp", "lrr")}
    assert late["imp"] > 0 and f"counted as not learning: {late['imp']} (IMP), {late['lrr']} (LRR)" in caption
    assert "numerical" in caption and "our heuristic, not a theorem" in caption
    assert "of 3,600: LRR learns in 12 without such a neuron and fails in 12 with one" in caption
    assert "0 trials there contradict the exact limits" in caption

    def wrong(values):
        values["cells"][0]["against_exact"]["imp"]["contradictions"] = 5
        values["cells"][1]["imp"]["n_contradicting"] += 2

    changed = drawn("hidden-neurons", records, wrong).caption
    assert (
        "5 trials there contradict" in changed and "IMP learns in 14 without such a neuron and fails in 10" in changed
    )


def test_one_dimension_of_inputs_and_no_single_neuron_are_drawn_too(records):
    def fewer(values):
        values["dimensions"], values["neurons"] = [2], [2, 4]
        values["cells"] = [cell for cell in values["cells"] if cell["d"] == 2 and cell["k"] in (2, 4)]

    drawing = drawn("hidden-neurons", records, fewer)
    assert len(drawing.figure.axes) == 2 and "At k = 1" not in drawing.caption


# --- what a result file must say


def _set(path, value):
    def change(values):
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] = value

    return change


FAULTS = [
    ("large-steps", ("step",), [0.1, -1.0]),
    ("large-steps", ("starts",), []),
    ("large-steps", ("starts", 0, "steps"), [3]),
    ("large-steps", ("starts", 0, "c", 2), "small"),
    ("large-steps", ("d1", "status"), "learned"),
    ("large-steps", ("d1", "largest_c"), None),
    ("large-steps", ("shown", 1, "step"), "1"),
    ("large-steps", ("pushed", "minima", 0, "left"), [True]),
    ("hidden-neurons", ("dimensions",), [2, 0.5]),
    ("hidden-neurons", ("neurons",), []),
    ("hidden-neurons", ("criterion",), {"learned": 1e-6}),
    ("hidden-neurons", ("cells", 0, "imp", "learned"), [1, 2]),
    ("hidden-neurons", ("cells", 0, "imp", "successes"), 1),
    ("hidden-neurons", ("cells", 0, "lrr", "high"), 97.0),
    ("hidden-neurons", ("cells", 0, "lrr", "undecided"), [0]),
    ("hidden-neurons", ("cells", 3, "difference", "lrr - imp", "low"), "low"),
    ("hidden-neurons", ("cells", 0, "against_exact", "imp", "contradictions"), -1),
]


@pytest.mark.parametrize(("name", "path", "value"), FAULTS)
def test_a_faulty_file_is_refused_by_field(records, name, path, value):
    result = records.theory[name]
    values = copy.deepcopy(dict(result.values))
    check_values(name, values, result.arrays, "file")
    _set(path, value)(values)
    with pytest.raises(ResultError, match=f"values.{path[0]}"):
        check_values(name, values, result.arrays, "file")


@pytest.mark.parametrize("change", [{"dimensions": [2, 5]}, {"neurons": [1, 2, 4, 8, 16]}])
def test_a_condition_without_a_cell_and_a_cell_without_a_condition_are_refused(records, change):
    result = records.theory["hidden-neurons"]
    with pytest.raises(ResultError, match="values.cells must be one for each d and k"):
        check_values("hidden-neurons", {**result.values, **change}, result.arrays, "file")


def test_an_array_that_is_missing_or_of_another_length_is_refused(records):
    result = records.theory["large-steps"]
    arrays = dict(result.arrays)
    arrays["shown_2_c"] = arrays["shown_2_c"][:-1]
    with pytest.raises(ResultError, match="shown_2_c"):
        check_values("large-steps", result.values, arrays, "file")
    del arrays["shown_2_c"]
    with pytest.raises(ResultError, match="shown_2_c must be an array"):
        check_values("large-steps", result.values, arrays, "file")
