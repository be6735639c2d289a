"""Every experiment gives the same bytes twice, a file of the agreed layout, and the numbers that theory asks for."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from theory.experiments.registry import EXPERIMENTS, files, result_name
from theory.results import Result, npz_bytes
from theory.sampling import clopper_pearson, paired_interval

SMALL = {
    "quadrants": {"grid": 21, "starts": 200},
    "stories": {"points": 60},
    "pruning-iterations": {"trials": 2000},
    "factorial": {"trials": 2000},
    "theorem-check": {"starts": 2000, "runs": 8, "horizon": 60.0},
    "dimension": {"dimensions": [1, 2, 10], "trials": 2000},
    "sample-size": {"d": 3, "ratios": [2.0, 20.0], "noises": [0.0, 0.5], "trials": 40},
    "mask-recovery": {"d": 3, "ratios": [2.0, 10.0], "noises": [0.5], "trials": 40, "deciding_trials": 60},
    "pruned-samples": {"d": 4, "ends": [2, 1], "prunings": 2, "sizes": [20, 40], "trials": 20},
    "basins": {"dimensions": [1, 2], "ratios": [0.5, 2.0], "trials": 2000, "starts": 20, "horizon": 200.0},
    "large-steps": {"angles": [0.5], "grid": 5, "max_steps": 2000},
    "hidden-neurons": {"dimensions": [2], "neurons": [1, 2], "trials": 20},
}
MADE = [pytest.param(name, marks=[pytest.mark.slow] * entry.slow) for name, entry in EXPERIMENTS.items()]
_made = {}


def made(name):
    """Return the small run of an experiment, made once."""
    if name not in _made:
        params = {**EXPERIMENTS[name].params, **SMALL.get(name, {})}
        _made[name] = EXPERIMENTS[name].run(**params)
    return _made[name]


def written(name, result=None):
    return files(
        name, result or made(name), SMALL.get(name), 1.5, {"git": {"commit": None}}, f"paper_repro.py theory {name}"
    )


@pytest.mark.parametrize("name", MADE)
def test_files_have_the_agreed_layout(name):
    out = written(name)
    stem = result_name(name, SMALL.get(name))
    record = json.loads(out[f"{stem}.json"])
    fields = ["schema", "kind", "experiment", "params", "values", "arrays", "seconds", "command", "provenance"]
    assert list(record) == fields and list(out)[-1] == f"{stem}.json"
    assert (record["schema"], record["kind"], record["experiment"]) == (2, "theory", name)
    assert record["params"] == {**EXPERIMENTS[name].params, **SMALL.get(name, {})}
    if record["arrays"] is None:
        assert len(out) == 1
        return
    data = out[record["arrays"]["file"]]
    assert record["arrays"]["sha256"] == hashlib.sha256(data).hexdigest()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert {key: list(arrays[key].shape) for key in arrays} == record["arrays"]["names"]
        assert all(np.isfinite(arrays[key]).all() for key in arrays)


@pytest.mark.parametrize("name", MADE)
def test_the_same_parameters_give_the_same_bytes(name):
    again = EXPERIMENTS[name].run(**{**EXPERIMENTS[name].params, **SMALL.get(name, {})})
    for claim in again.values.get("claims", {}).values():
        claim["symbolic_seconds"] = 0.0
    first = made(name)
    for claim in first.values.get("claims", {}).values():
        claim["symbolic_seconds"] = 0.0
    assert written(name, again) == written(name, first)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, e in EXPERIMENTS.items() for key in e.params])
def test_every_parameter_changes_the_name(name, key):
    default = EXPERIMENTS[name].params[key]
    other = [*default, 7] if isinstance(default, list) else default + 1
    assert result_name(name, {key: other}) != result_name(name)
    assert result_name(name, {key: EXPERIMENTS[name].params[key]}) == result_name(name, {}) == result_name(name)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_registry_is_consistent(name):
    experiment = EXPERIMENTS[name]
    assert experiment.name == name and experiment.about
    assert json.loads(json.dumps(experiment.params)) == experiment.params


def test_only_the_positive_quadrant_learns():
    counts = made("quadrants").values["quadrants"]
    assert {key: c["learns"] / c["starts"] for key, c in counts.items()} == {"++": 1, "+-": 0, "-+": 0, "--": 0}


def test_quadrants_arrays_tell_one_story():
    arrays = made("quadrants").arrays
    assert made("quadrants").values["verdicts"] == ["fails", "learns", "separatrix"]  # the words of 0, 1, 2
    a, w = np.meshgrid(arrays["grid_a"], arrays["grid_w"])
    assert (arrays["verdict"][(w > 0) & (a > -w + 1e-9)] == 1).all()
    assert (arrays["verdict"][w <= 0] == 0).all() and (arrays["verdict"] == 2).sum() == 10  # a = -w, w > 0
    assert (arrays["field_w"][(w > 0) & (a * w > 1 + 1e-9)] < 0).all()  # downhill from above the minimum
    ends, verdict = arrays["trajectories"][:, -1], arrays["trajectory_verdict"]
    assert np.allclose(ends[verdict == 1].prod(axis=1), 1) and (abs(ends[verdict != 1].prod(axis=1) - 1) > 0.9).all()
    assert np.allclose(arrays["minimum"].prod(axis=1), 1)
    starts = arrays["trajectories"][:, 0]
    assert (np.isclose(*abs(starts.T)) == arrays["balanced"]).all() and not arrays["balanced"].all()


def test_stories_turn_the_sign_and_lose_it():
    result = made("stories")
    w1 = result.arrays["dense_w"][:, 0]
    assert w1[0] < 0 < w1[-1] and (np.diff(np.sign(w1)) != 0).sum() == 1
    assert result.values["verdict"] == {"dense": "learns", "imp": "fails", "lrr": "learns"}
    assert result.values["start"]["imp"]["w"] == [w1[0], 0.0] and result.values["start"]["lrr"]["w"] == [w1[-1], 0.0]
    assert result.arrays["imp_loss"][-1] > 0.24 and result.arrays["lrr_loss"][-1] < 1e-4
    assert (result.arrays["imp_w"][:, 0] <= 0).all()


def test_pruning_iterations_match_the_exact_probabilities():
    values = made("pruning-iterations").values
    for rule in ("imp", "lrr"):
        rates = values["rules"][rule]
        assert {len(column) for column in rates.values()} == {len(values["survivors"])}
        assert all(low <= p <= high for low, p, high in zip(rates["low"], rates["exact"], rates["high"], strict=True))
        assert rates["mask_recovered"] == [values["trials"]] * len(values["survivors"])
    assert values["rules"]["imp"]["exact"][-2:] == [0.5, 0.25]


def test_factorial_effects_are_the_differences_of_its_cells():
    for cells in made("factorial").values["inits"].values():
        rate = {rule: cells[rule]["successes"] / cells[rule]["trials"] for rule in ("imp", "sign", "magnitude", "lrr")}
        effects = {key: effect["value"] for key, effect in cells["effects"].items()}
        assert effects["signs"] == pytest.approx((rate["sign"] + rate["lrr"] - rate["imp"] - rate["magnitude"]) / 2)
        assert effects["magnitudes"] == pytest.approx(
            (rate["magnitude"] + rate["lrr"] - rate["imp"] - rate["sign"]) / 2
        )
        assert effects["interaction"] == pytest.approx(rate["lrr"] - rate["sign"] - rate["magnitude"] + rate["imp"])
        assert cells["difference"]["lrr - imp"]["value"] == pytest.approx(rate["lrr"] - rate["imp"])
        assert cells["effects"]["signs"]["low"] > 0.2


@pytest.mark.slow
def test_no_start_contradicts_claims_1_and_2():
    for claim in made("theorem-check").values["claims"].values():
        assert claim["starts"] == 2000 and claim["contradictions"] == 0 and claim["symbolic"] and claim["high"] < 0.01
        seen = claim["integrated"]
        assert seen["runs"] == seen["learns"] + seen["fails"] + seen["undecided"] == 8 and seen["contradictions"] == 0
        assert 0 < seen["n_predicted_failures"] == seen["invariant_held"] and len(seen["until"]) == len(claim["d"])
    assert [claim["d"] for claim in made("theorem-check").values["claims"].values()] == [[1], [2, 3, 5, 10]]


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown experiment 'quadrant': did you mean 'quadrants'"):
        result_name("quadrant")
    with pytest.raises(ValueError, match="unknown parameter of factorial 'trial': did you mean 'trials'"):
        result_name("factorial", {"trial": 3})


def test_an_experiment_without_trials_is_refused():
    with pytest.raises(ValueError, match="trials must be a whole number, at least 1, got 0"):
        EXPERIMENTS["factorial"].run(d=10, trials=0, seed=0)


def test_npz_depends_on_the_arrays_alone_and_refuses_objects():
    one, other = npz_bytes({"b": np.ones(2), "a": np.zeros(3)}), npz_bytes({"a": np.zeros(3), "b": np.ones(2)})
    assert one == other != npz_bytes({"a": np.zeros(3), "b": np.zeros(2)})
    assert {item.date_time for item in zipfile.ZipFile(io.BytesIO(one)).infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with pytest.raises(ValueError, match="pickle"):
        npz_bytes({"a": np.array([{}])})


def test_a_value_that_is_no_number_is_not_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        files("factorial", Result({"x": float("nan")}), None, 1.0, {}, "")


def test_clopper_pearson_covers_and_touches_the_ends():
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(0.3084971078))
    assert clopper_pearson(10, 10) == (pytest.approx(1 - 0.3084971078), 1.0)
    low, high = clopper_pearson(5, 20)
    assert (low, high) == (pytest.approx(0.0865714691), pytest.approx(0.4910459215))


def test_paired_interval_is_narrower_than_the_unpaired_one():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=1000)
    paired = paired_interval(shared + 0.1 - (shared + 0.01 * rng.normal(size=1000)))
    assert paired["low"] < 0.1 < paired["high"] and paired["high"] - paired["low"] < 0.01
