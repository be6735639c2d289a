"""Figure 15 and claim 4b: what is drawn and judged is what the files say; swapped results are judged the other way."""

import dataclasses
import json
import re

import numpy as np
import pytest

from figures.catalogue import FIGURES
from figures.claims.registry import evaluate
from figures.plots.builder import NothingToDraw
from figures.results.fields import ResultError
from figures.results.network import Records
from figures.results.neuron import check_values
from theory.sampling import paired_shares_interval

pytestmark = pytest.mark.slow


def altered(records, experiment, change):
    values = json.loads(json.dumps(records.theory[experiment].values))
    change(values)
    result = dataclasses.replace(records.theory[experiment], values=values)
    return dataclasses.replace(records, theory={**records.theory, experiment: result})


def claim_4b(records):
    return next(verdict for verdict in evaluate(records) if verdict.id == "4b")


def set_difference(first, second):
    """A change that gives every cell the paired difference of two columns of outcomes."""

    def change(values):
        for cell in values["cells"]:
            cell["lrr - imp, recovered"] = paired_shares_interval(first, second)

    return change


def test_every_marker_is_a_count_of_the_file_over_its_trials(drawings, records):
    drawing = drawings["15"]
    panels = (("sample-size", "learns"), ("mask-recovery", "learns"), ("mask-recovery", "recovered"))
    for axes, (name, key) in zip(drawing.figure.axes, panels, strict=True):
        cells = records.theory[name].values["cells"]
        drawn = {container.get_label(): container for container in axes.containers}
        assert len(drawn) == 6
        for rule, label in (("imp", "IMP"), ("lrr", "LRR")):
            for noise in (0.0, 0.5, 1.0):
                line, _, (segments,) = drawn[f"{label}, noise {noise:g}"].lines
                here = [cell for cell in cells if cell["noise"] == noise]
                shares = [cell[rule][key]["count"] / cell[rule]["trials"] for cell in here]
                assert np.allclose(line.get_ydata(), shares)
                lows = [segment[0][1] for segment in segments.get_segments()]
                assert np.allclose(lows, [cell[rule][key]["low"] for cell in here])
                assert drawing.plotted[f"{name}, {key}"][f"{rule}, noise {noise:g}"]["share"] == shares


def test_the_caption_says_how_many_trials_and_which_stopped_early(records):
    caption = FIGURES["15"].draw(records).caption
    assert "2,000 trials" in caption and "Clopper-Pearson" in caption and "stopped" not in caption
    late = altered(records, "sample-size", lambda values: values["cells"][0]["imp"].update(unsettled=7))
    assert "7 trials were stopped before every flow rested" in FIGURES["15"].draw(late).caption


def test_each_panel_says_its_sample_sizes_and_how_many_trials_each_marker_is_of(records):
    def fewer(values):
        (cell,) = (cell for cell in values["cells"] if (cell["ratio"], cell["noise"]) == (10, 0.5))
        for rule in ("imp", "lrr"):
            cell[rule]["trials"] //= 2
            for key in ("learns", "recovered"):
                cell[rule][key] |= {"count": 500, "low": 0.4, "high": 0.6}

    caption = FIGURES["15"].draw(altered(records, "mask-recovery", fewer)).caption
    _, a, b, c = re.split(r" \([abc]\) ", caption)
    sizes, other = "Sample size n = 10 to 500; each marker: 2,000 trials", ", but 1,000 at n / d = 10, noise 0.5"
    assert f"{sizes}." in a and f"{sizes}{other}." in b and f"{sizes}{other}." in c


def test_one_experiment_without_the_other_draws_its_panels_and_names_the_command(records):
    theory = {name: result for name, result in records.theory.items() if name != "mask-recovery"}
    drawing = FIGURES["15"].draw(dataclasses.replace(records, theory=theory))
    assert len(drawing.figure.axes) == 1
    assert [item.command for item in drawing.missing] == ["paper_repro.py theory mask-recovery"]
    with pytest.raises(NothingToDraw, match="paper_repro.py theory sample-size"):
        FIGURES["15"].draw(Records((), {}, (), ()))


def test_claim_4b_is_decided_by_one_condition_and_shows_those_beside_it(records):
    found = claim_4b(records)
    deciding = [row for row in found.rows if row.decides]
    assert len(deciding) == 1 and "n = 100, label noise 0.5" in deciding[0].name
    assert len(found.rows) == 1 + 5 + 2  # the other sample sizes, and the other noises
    assert "2,000 samples of n = 100" in deciding[0].scope and "of 2,000 found it" in deciding[0].note


@pytest.mark.parametrize(
    ("p_imp", "p_lrr", "verdict"),
    [(0.6, 0.9, "reproduced"), (0.9, 0.6, "not reproduced (reversed)"), (1.0, 1.0, "not reproduced")],
)
def test_claim_4b_follows_the_difference_and_turns_with_swapped_rules(records, p_imp, p_lrr, verdict):
    rng = np.random.default_rng(0)
    columns = rng.random(2000) < p_imp, rng.random(2000) < p_lrr
    assert claim_4b(altered(records, "mask-recovery", set_difference(*columns))).verdict == verdict


def test_shuffled_labels_are_called_reproduced_in_at_most_five_percent(records):
    rng, called = np.random.default_rng(1), 0
    pairs = np.stack([rng.random(400) < 0.8, rng.random(400) < 0.95])
    for _ in range(200):
        swapped = np.where(rng.random(400) < 0.5, pairs, pairs[::-1])
        called += claim_4b(altered(records, "mask-recovery", set_difference(*swapped))).verdict == "reproduced"
    assert called <= 10


FAULTS = {
    "a count above its trials": lambda v: v["cells"][0]["imp"]["learns"].update(count=10**6),
    "a cell too few": lambda v: v["cells"].pop(),
    "no interval": lambda v: v["cells"][3].pop("lrr - imp, recovered"),
    "a deciding condition that is none": lambda v: v["decides"].update(ratio=3.0),
    "a share above 1": lambda v: v["population"].update(imp=25),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_file_is_refused_by_name(records, fault):
    values = json.loads(json.dumps(records.theory["mask-recovery"].values))
    check_values("mask-recovery", values, {}, "file.json")
    FAULTS[fault](values)
    with pytest.raises(ResultError, match="file.json"):
        check_values("mask-recovery", values, {}, "file.json")
