"""Success over the number of inputs (figure 14, claim 13), and basins over the balance."""

import numpy as np
import pytest

from theory.experiments.dimension_and_balance import (
    basins,
    dimension,
    one_input,
    outcomes,
    overparametrisation,
    several_inputs,
)
from theory.probability import success_probability_exact
from theory.sampling import clopper_pearson, generator

pytestmark = pytest.mark.slow

TRIALS = 4000


@pytest.fixture(scope="module")
def sweep():
    return dimension([1, 2, 10], TRIALS, seed=0).values


def shuffled(hits, rng):
    """The same outcomes with the names of the two rules dealt anew at every start."""
    swap = rng.random(len(hits["imp"])) < 0.5
    return {
        "imp": np.where(swap, hits["lrr"], hits["imp"]),
        "lrr": np.where(swap, hits["imp"], hits["lrr"]),
    }


def test_every_share_holds_its_exact_probability(sweep):
    for init, content in sweep["inits"].items():
        for name in ("imp", "lrr", "switches"):
            for d, cell in zip(sweep["dimensions"], content[name], strict=True):
                low, high = clopper_pearson(cell["successes"], cell["trials"], level=0.9999)
                assert low <= cell["exact"] <= high, (init, name, d)
                assert not low <= cell["exact"] + 0.05 <= high


def test_with_one_input_lrr_does_not_beat_imp_and_with_more_it_does(sweep):
    for content in sweep["inits"].values():
        one, two, ten = content["lrr - imp"]
        assert one == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert two["low"] > 0.2 and ten["low"] > 0.2


def test_adding_a_dimension_changes_no_other_number(sweep):
    more = dimension([1, 2, 4, 10, 30], TRIALS, seed=0).values
    for init, content in sweep["inits"].items():
        assert more["inits"][init]["overparametrisation"] == content["overparametrisation"]
        for name in ("imp", "lrr", "switches", "lrr - imp"):
            kept = [
                row for d, row in zip(more["dimensions"], more["inits"][init][name], strict=True) if d in (1, 2, 10)
            ]
            assert kept == content[name]
    assert dimension([1, 2, 10], TRIALS, seed=1).values["inits"] != sweep["inits"]


def test_the_effect_of_claim_13_holds_its_exact_value_and_is_the_difference_of_the_two_leads(sweep):
    for init, content in sweep["inits"].items():
        effect, lead = content["overparametrisation"], [row["value"] for row in content["lrr - imp"]]
        assert effect["value"] == pytest.approx(lead[2] - lead[0])
        exact = success_probability_exact("lrr", init, 10) - success_probability_exact("imp", init, 10)
        assert effect["low"] < exact < effect["high"]
        assert effect["low"] > 0.2


def test_shuffled_rules_leave_no_effect():
    rng = np.random.default_rng(5)
    few, many = (outcomes("balanced", generator(0, d), TRIALS, d) for d in (1, 10))
    assert overparametrisation(few, many)["low"] > 0.2
    null = overparametrisation(shuffled(few, rng), shuffled(many, rng))
    assert null["low"] < 0 < null["high"] < 0.05


def test_the_effect_falls_where_the_many_inputs_are_few():
    one = outcomes("normal", generator(0, 1), TRIALS, 1)
    assert overparametrisation(one, outcomes("normal", generator(1, 1), TRIALS, 1))["value"] == 0.0


@pytest.mark.parametrize("dimensions", [[1, 2], [2, 10], [1, 10, 10], [10, 1], []])
def test_dimensions_that_claim_13_cannot_compare_are_refused(dimensions):
    with pytest.raises(ValueError, match=r"dimensions must increase and hold 1 and 10 \(for claim 13\)"):
        dimension(dimensions, 10, 0)


def test_bad_dimensions_and_trials_are_refused():
    with pytest.raises(ValueError, match="dimensions must be a whole number, at least 1, got 1.5"):
        dimension([1, 1.5, 10], 10, 0)
    with pytest.raises(ValueError, match="trials must be a whole number, at least 1, got 0"):
        dimension([1, 10], 0, 0)
    with pytest.raises(ValueError, match="two differences or more, got 1"):
        dimension([1, 10], 1, 0)


# --- basins


@pytest.fixture(scope="module")
def line():
    return one_input(generator(3), 2000)


@pytest.fixture(scope="module")
def plane():
    return several_inputs(generator(4), 60, [2, 5], horizon=300.0)


def against(found, name, rule):
    """How many decided witnesses a rule (a0, w0) -> learns contradicts."""
    (a0, w0), verdict = found.arrays[f"{name}_start"].T, found.arrays[f"{name}_verdict"]
    return int(((verdict == 1) != rule(a0, w0))[verdict != 2].sum())


def test_with_one_input_the_closed_form_knows_the_basin_and_refutes_others(line):
    assert line.values["contradictions"] == against(line, "one", lambda a, w: (w > 0) & (a > -w)) == 0
    assert line.values["undecided"] == 0 and min(line.values["learns"], line.values["fails"]) > 500
    assert against(line, "one", lambda a, w: (w > 0) & (a > 0)) > 100  # balance would be needed
    assert against(line, "one", lambda a, w: a > -abs(w)) > 100  # several inputs would be needed


def test_with_several_inputs_integrated_runs_know_the_basin_and_refute_others(plane):
    assert plane.values["contradictions"] == against(plane, "several", lambda a, r: a > -r) == 0
    assert plane.values["undecided"] < 15 and min(plane.values["learns"], plane.values["fails"]) > 5
    assert against(plane, "several", lambda a, r: a > 0) > 5  # balance would be needed
    assert plane.values["starts"] == sum(plane.values[word] for word in ("learns", "fails", "undecided")) == 60


def test_the_separatrix_parts_the_verdicts_and_reaches_beyond_the_witnesses():
    result = basins([1, 2], [1.0], 10, 5, 10.0, seed=0)
    curve = result.arrays["separatrix"]
    assert (curve[:, 0] == -curve[:, 1]).all()
    assert curve[:, 1].max() > max(abs(result.arrays[f"{name}_start"]).max() for name in ("one", "several"))


def test_success_over_ratios_rises_to_its_exact_curves():
    result = basins([1, 3], [0.2, 1.0, 5.0], 3000, 2, 10.0, seed=0)
    for rule, rows in result.values["success"].items():
        for d, row in zip((1, 3), rows, strict=True):
            exact = [cell["exact"] for cell in row]
            assert (
                exact == sorted(exact) == [success_probability_exact(rule, "normal", d, 1, r) for r in (0.2, 1.0, 5.0)]
            )
            assert all(abs(cell["share"] - p) < 0.04 for cell, p in zip(row, exact, strict=True))
    assert (result.arrays["curve_imp"][0] == result.arrays["curve_imp"][1]).all()
    assert (result.arrays["curve_lrr"][1] > result.arrays["curve_imp"][1] + 0.2).all()
    assert (result.arrays["curve_lrr"][0] == result.arrays["curve_imp"][0]).all()  # d = 1: nothing to prune


def test_adding_a_ratio_or_a_dimension_changes_no_other_number():
    less, more = basins([2], [1.0], 500, 2, 10.0, 0), basins([1, 2, 3], [0.5, 1.0], 500, 2, 10.0, 0)
    for rule in ("imp", "lrr"):
        assert less.values["success"][rule][0][0] == more.values["success"][rule][1][1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dimensions": [1]}, "basins needs a dimension above 1 and a ratio"),
        ({"ratios": []}, "basins needs a dimension above 1 and a ratio"),
        ({"ratios": [-1.0]}, "two numbers above 0"),
        ({"starts": 0}, "starts must be a whole number, at least 1, got 0"),
        ({"trials": 0}, "trials must be a whole number, at least 1, got 0"),
        ({"horizon": -1.0}, "t must be"),
    ],
)
def test_bad_basins_are_refused(changed, message):
    good = {"dimensions": [1, 2], "ratios": [1.0], "trials": 10, "starts": 2, "horizon": 10.0, "seed": 0}
    with pytest.raises(ValueError, match=message):
        basins(**(good | changed))
