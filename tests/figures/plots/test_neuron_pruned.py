"""Figure `pruned-samples`: what is drawn and said is what the file says, and a spoilt file is refused."""

import dataclasses
import json

import numpy as np
import pytest

from figures.catalogue import FIGURES
from figures.plots.builder import NothingToDraw
from figures.results.fields import ResultError
from figures.results.network import Records
from figures.results.neuron import check_values

pytestmark = pytest.mark.slow

NAME = "pruned-samples"


def values_of(records):
    return json.loads(json.dumps(records.theory[NAME].values))


def with_values(records, values):
    result = dataclasses.replace(records.theory[NAME], values=values)
    return dataclasses.replace(records, theory={**records.theory, NAME: result})


def cell_of(values, **condition):
    (cell,) = (cell for cell in values["cells"] if condition.items() <= cell.items())
    return cell


def panels(drawing):
    """The axes of each (end, inputs, noise)."""
    order = [(end, inputs, noise) for end in (5, 3, 1) for inputs in ("normal", "uniform") for noise in (0.0, 0.5)]
    return dict(zip(order, drawing.figure.axes, strict=True))


def levels(axes):
    """The heights of the exact lines of a panel, which span it."""
    return sorted(line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1])


def test_every_marker_is_a_count_of_the_file_over_its_trials(drawings, records):
    values = values_of(records)
    for (end, inputs, noise), axes in panels(drawings[NAME]).items():
        drawn = {container.get_label(): container for container in axes.containers}
        assert len(drawn) == 4
        for rule, (init, word) in [(r, i) for r in ("imp", "lrr") for i in (("bounded", "a = u |w|"),
                                                                           ("balanced", "balanced"))]:  # fmt: skip
            line, _, (segments,) = drawn[f"{rule.upper()}, {word}"].lines
            cells = [
                cell_of(values, end=end, init=init, inputs=inputs, noise=noise, n=n)[rule] for n in (100, 300, 1000)
            ]
            assert np.allclose(line.get_ydata(), [cell["successes"] / cell["trials"] for cell in cells])
            for segment, cell in zip(segments.get_segments(), cells, strict=True):
                assert len(segment) == 0 or np.allclose(segment[:, 1], [cell["low"], cell["high"]])


def test_exact_lines_stand_on_panels_of_normal_inputs_without_noise_alone(drawings):
    found = {place: levels(axes) for place, axes in panels(drawings[NAME]).items()}
    assert found[5, "normal", 0.0] == found[3, "normal", 0.0] == [0.5, 0.5, 1.0]  # of IMP, a = u |w|, none is known
    assert found[1, "normal", 0.0] == [0.25, 0.315, 0.5, 1.0]
    assert not any(lines for (_, inputs, noise), lines in found.items() if inputs != "normal" or noise > 0)


def test_each_panel_names_its_inputs_and_noise_and_the_caption_says_that_the_combination_is_ours(drawings, records):
    titles = [axes.get_title(loc="left") for axes in drawings[NAME].figure.axes]
    assert titles[0] == "(a) N(0, I), noise 0" and titles[11] == "(l) U[-1, 1], noise 0.5"
    caption = drawings[NAME].caption
    for words in ("300 trials", "The combination is ours", "own start is not known", "10, 8, 6, 5; 10, 7, 4, 3; 10, 5"):
        assert words in caption
    assert "Every flow rested" in caption
    late = values_of(records)
    late["cells"][7]["imp"]["unsettled"] = 3
    caption = FIGURES[NAME].draw(with_values(records, late)).caption
    assert "3 trials did not rest, and count as not learning" in caption and "Every flow" not in caption


def test_without_the_experiment_the_figure_names_its_command():
    with pytest.raises(NothingToDraw, match="paper_repro.py theory pruned-samples"):
        FIGURES[NAME].draw(Records((), {}, (), ()))


FAULTS = {
    "more than its trials": lambda v: v["cells"][0]["imp"].update(successes=299, unsettled=2),
    "a cell too few": lambda v: v["cells"].pop(),
    "no interval": lambda v: v["cells"][3].pop("lrr - imp"),
    "no count of what did not rest": lambda v: v["cells"][3]["lrr"].pop("unsettled"),
    "a probability above 1": lambda v: v["exact"][0].update(lrr=1.5),
    "an end without a schedule": lambda v: v["schedules"].pop(),
    "an exact value too few": lambda v: v["exact"].pop(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_file_is_refused_by_name(records, fault):
    values = values_of(records)
    check_values("pruned-samples", values, {}, "file.json")
    FAULTS[fault](values)
    with pytest.raises(ResultError, match="file.json"):
        check_values("pruned-samples", values, {}, "file.json")
