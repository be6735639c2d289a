import json
import math

import numpy as np
import pytest
from scipy.stats import t as student

from figures.catalogue import FIGURES
from figures.plots.builder import NothingToDraw
from figures.plots.style import drawing_style
from figures.plots.sweeps import PLANS
from figures.results.load import load
from figures.results.network import Records
from tests.figures import synthetic_sweeps as made_up

NAMES = list(PLANS)
LEAD, ACCURACY = "high-sparsity\naccuracy,\nLRR - IMP", "high-sparsity\naccuracy"
PLACE = "quick, model=resnet8, digits"


def draw(name, root):
    with drawing_style():
        return FIGURES[name].draw(load(root))


def accuracies(root, study, arm):
    """Test accuracy by (seed, level), straight from the files."""
    record = json.loads((root / f"studies/{study}.json").read_text())
    run, found = root / "runs" / record["arms"][arm], {}
    for path in sorted(run.glob("seed-*/level-*/level.json")):
        level = json.loads(path.read_text())
        found[level["seed"], level["level"]] = level["test_accuracy"]
    return record, found


def h_by_seed(root, study, arm):
    record, found = accuracies(root, study, arm)
    levels = [k for k in range(record["levels"]) if (1 - record["prune_rate"]) ** k <= 0.03]
    return np.array([np.mean([found[seed, k] for k in levels]) for seed in record["seeds"]])


def t_ends(values):
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


def axes_with(drawing, label):
    return [axes for axes in drawing.figure.axes if axes.get_ylabel() == label]


def points(axes):
    """(x, y, low, high, filled) of every point that is drawn with error bars."""
    out = []
    for container in axes.containers:
        line, _, bars = container.lines
        (x,), (y,) = line.get_xdata(orig=False), line.get_ydata(orig=False)
        ends = [end for segment in bars[0].get_segments() for end in np.ravel(segment)[1::2]] or [math.nan] * 2
        low, high = ends
        out.append((float(x), float(y), float(low), float(high), line.get_markerfacecolor() != "white"))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_the_leads_on_the_paper_are_those_of_the_files_with_students_intervals(drawings, folder, name):
    drawing = drawings[name]
    (axes,), values = axes_with(drawing, LEAD), drawing.plotted[PLACE]["values"]
    drawn = points(axes)
    assert len(drawn) == len(values)
    for (x, y, low, high, _), place, value in zip(drawn, range(len(values)), values, strict=True):
        leads = h_by_seed(folder, value["study"], "lrr") - h_by_seed(folder, value["study"], "imp")
        assert (x, y) == pytest.approx((place, leads.mean()))
        assert (low, high) == pytest.approx(t_ends(leads))
        assert value["lead"]["values"] == pytest.approx(list(leads)) and value["lead"]["n"] == 4


@pytest.mark.parametrize("name", NAMES)
def test_h_of_both_rules_and_the_curves_are_those_of_the_files(drawings, folder, name):
    drawing = drawings[name]
    (axes,), values = axes_with(drawing, ACCURACY), drawing.plotted[PLACE]["values"]
    drawn = iter(points(axes))
    for arm in ("imp", "lrr"):
        for value in values:
            expected = h_by_seed(folder, value["study"], arm)
            _, y, low, high, _ = next(drawn)
            assert (y, low, high) == pytest.approx((expected.mean(), *t_ends(expected)))
    panels = drawing.figure.axes[: len(values)]
    for axes, value in zip(panels, values, strict=True):
        for container, arm in zip(axes.containers, ("imp", "lrr"), strict=True):
            record, found = accuracies(folder, value["study"], arm)
            expected = [np.mean([found[s, k] for s in record["seeds"]]) for k in range(1, record["levels"])]
            np.testing.assert_allclose(container.lines[0].get_ydata(orig=False)[1:], expected)
        assert axes.get_ylim() == panels[0].get_ylim() and axes.get_xlim() == panels[0].get_xlim()


@pytest.mark.parametrize("name", NAMES)
def test_a_zero_line_runs_through_the_leads_and_each_value_has_a_panel(drawings, name):
    drawing = drawings[name]
    (axes,), values = axes_with(drawing, LEAD), drawing.plotted[PLACE]["values"]
    assert any(list(line.get_ydata()) == [0, 0] for line in axes.lines)
    low, high = axes.get_ylim()
    assert low < 0 < high
    words = [label.get_text().replace("-\n", "-") for label in axes.get_xticklabels()]
    titles = [a.get_title(loc="left").replace("-\n", "-") for a in drawing.figure.axes[: len(values)]]
    assert all(title.removeprefix("(a) ").endswith(word) for title, word in zip(titles, words, strict=True))
    bare = isinstance(values[0]["value"], (int, float))
    assert all((title.removeprefix("(a) ") == word) != bare for title, word in zip(titles, words, strict=True))
    assert words == [f"{v['value']}" for v in values]


@pytest.mark.parametrize("name", NAMES)
def test_the_study_at_the_common_settings_is_among_the_values(drawings, name):
    assert "quick-model-resnet8-digits" in {v["study"] for v in drawings[name].plotted[PLACE]["values"]}
    assert drawings[name].missing == ()


def test_captions_say_where_the_lead_lies_as_the_made_up_effects_have_it(drawings):
    caption = drawings["11"].caption
    assert "interval above 0 at magnitude, magnitude-layerwise, snip; interval below 0 at synflow;" in caption
    assert "interval contains 0 at grasp; both rules at chance, so no lead can be measured, at random." in caption
    assert "interval below 0 at constant." in drawings["17"].caption
    for name in NAMES:
        assert "n = 4 seeds (0 1 2 3)" in drawings[name].caption and "Student-t 95 %" in drawings[name].caption
    assert "model=resnet8 in place of resnet20; resnet8 of width 8" in drawings["17"].caption
    assert "The preset's own network, resnet20, is none of them." in drawings["18"].caption
    assert "The value of the common settings: cosine." in drawings["17"].caption


def test_h_of_rates_differs_in_its_levels_and_each_has_a_density_of_at_most_3_percent(drawings):
    values = drawings["16"].plotted[PLACE]["values"]
    assert [value["levels"] for value in values] == [list(range(16, 22)), [6, 7], [3, 4]]
    caption = drawings["16"].caption
    assert "6 levels (16 to 21) at 0.2; 2 levels (6 to 7) at 0.5; 2 levels (3 to 4) at 0.7" in caption
    assert "each of density at most .03" in caption


def test_a_collapsed_value_is_drawn_unfilled_on_a_line_of_chance_and_said(drawings):
    drawing = drawings["11"]
    (h,), (lead,) = axes_with(drawing, ACCURACY), axes_with(drawing, LEAD)
    assert [filled for *_, filled in points(lead)] == [True, True, True, False, True, True]
    assert sum(not filled for *_, filled in points(h)) == 2
    assert any(list(line.get_ydata()) == [0.1, 0.1] for line in h.lines)
    assert "high-sparsity accuracy of at most 0.15 (IMP 4 of 4, LRR 4 of 4 at random)" in drawing.caption
    assert "Unfilled" not in drawings["17"].caption


def test_an_unknown_value_is_drawn_too(tmp_path):
    made_up.base(tmp_path)
    made_up.study(tmp_path, "schedule", {"schedule": "one-that-nobody-knows"}, 2.0)
    drawing = draw("17", tmp_path)
    (axes,) = axes_with(drawing, LEAD)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cosine", "one-that-nobody-knows"]
    assert len(points(axes)) == 2


def test_one_seed_gives_no_interval_and_no_verdict(tmp_path):
    made_up.base(tmp_path, seeds=(3,))
    made_up.study(tmp_path, "width", {"width": 2}, 2.0, seeds=(3,))
    drawing = draw("width", tmp_path)
    for label in (ACCURACY, LEAD):
        assert all(math.isnan(low) and math.isnan(high) for _, _, low, high, _ in points(axes_with(drawing, label)[0]))
    assert "n = 1 seed, no intervals (3)" in drawing.caption and "interval above 0" not in drawing.caption
    assert drawing.plotted[PLACE]["values"][0]["lead"]["low"] is None


@pytest.mark.parametrize("name", NAMES)
def test_without_results_the_command_that_makes_them_is_named(name):
    with pytest.raises(NothingToDraw) as nothing:
        FIGURES[name].draw(Records())
    (item,) = nothing.value.missing
    assert item.command == f"paper_repro.py train --preset quick --sweep {PLANS[name].sweep}"
    assert tuple(FIGURES[name].sweeps) == (PLANS[name].sweep,)


def test_two_presets_give_two_blocks_with_letters_of_their_own(tmp_path):
    for kwargs in ({}, {"preset": "cifar10", "dataset": "cifar10", "shared_overrides": {}}):
        made_up.study(tmp_path, None if kwargs else "base", {}, 3.0, **kwargs)
        made_up.study(tmp_path, "schedule", {"schedule": "constant"}, 1.0, **kwargs)
    drawing = draw("17", tmp_path)
    assert set(drawing.plotted) == {PLACE, "cifar10, cifar10"}
    assert len(axes_with(drawing, LEAD)) == 2
    assert "(a-c) CIFAR-10, preset cifar10;" in drawing.caption
    assert "(d-f) digits, preset quick with model=resnet8;" in drawing.caption


def test_diverged_and_absent_seeds_are_counted_and_named_and_their_values_stay(tmp_path):
    made_up.base(tmp_path)
    made_up.study(tmp_path, "criterion", {"criterion": "snip"}, 2.0, diverged=[("lrr", 1)])
    made_up.study(tmp_path, "criterion", {"criterion": "grasp"}, 2.0, diverged=[("lrr", s) for s in range(4)])
    made_up.study(tmp_path, "criterion", {"criterion": "random"}, 2.0, left_out=[("imp", s) for s in range(4)])
    drawing = draw("11", tmp_path)
    (axes,) = axes_with(drawing, LEAD)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["grasp", "magnitude", "random", "snip\nn = 3"]
    assert {text.get_text(): text.get_position()[0] for text in axes.texts} == {"diverged": 0, "not complete": 2}
    assert [x for x, *_ in points(axes)] == [1, 3]
    said = [text.get_text() for panel in drawing.figure.axes[:4] for text in panel.texts]
    assert said == ["LRR: 4 of\n4 diverged", "", "IMP: not\ncomplete", "LRR: 1 of\n4 diverged"]
    caption = drawing.caption
    assert "LRR at grasp, seeds 0 1 2 3 (diverged)" in caption and "LRR at snip, seed 1 (diverged)" in caption
    assert "n = 3 seeds (0 2 3) at snip" in caption
    (item,) = drawing.missing
    assert item.what == "IMP at random" and item.command.endswith("--sweep criterion")


def test_the_presets_own_value_is_asked_for_where_it_has_not_been_run(tmp_path):
    made_up.study(tmp_path, "width", {"width": 2}, 1.0)
    (item,) = draw("width", tmp_path).missing
    assert item.command == "paper_repro.py train --preset quick --sweep width"


def test_widths_list_their_weights_and_the_growth_of_the_lead(drawings, folder):
    drawing = drawings["width"]
    values, growth = (drawing.plotted[PLACE][key] for key in ("values", "growth"))
    leads = [h_by_seed(folder, v["study"], "lrr") - h_by_seed(folder, v["study"], "imp") for v in values]
    assert growth["values"] == pytest.approx(list(leads[-1] - leads[0]))
    assert (growth["low"], growth["high"]) == pytest.approx(t_ends(leads[-1] - leads[0]))
    assert "1,100 (9) at 2; 4,400 (34) at 4; 17,600 (137) at 8; 70,400 (550) at 16" in drawing.caption
    points = [f"{100 * growth[key]:+.2f}" for key in ("mean", "low", "high")]
    assert f"the lead at 16 less that at 2 is {points[0]} [{points[1]}, {points[2]}] accuracy points" in drawing.caption
    assert growth["low"] > 0, "the made-up lead grows"


@pytest.mark.parametrize("name", NAMES)
def test_the_caption_says_what_a_point_is_on_axes_of_fractions(drawings, name):
    assert "On the axes accuracies and leads are fractions: .01 is 1 accuracy point." in drawings[name].caption


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_of_curves_has_the_label_of_its_axis(drawings, name):
    drawing = drawings[name]
    panels = drawing.figure.axes[: len(drawing.plotted[PLACE]["values"])]
    (label,) = {axes.get_xlabel() for axes in panels}
    assert len(panels) > 1 and label in ("density (log scale)", "density")


def test_growth_from_networks_that_have_learnt_nothing_is_said_to_be_none_to_see(drawings, tmp_path):
    made_up.base(tmp_path)
    made_up.study(tmp_path, "width", {"width": 2}, made_up.CHANCE)
    assert "n = 4; at 2 both rules are at chance." in draw("width", tmp_path).caption
    assert "both rules are at chance" not in drawings["width"].caption


def test_no_level_sparse_enough_leaves_the_curves_and_says_why(tmp_path):
    made_up.study(tmp_path, "schedule", {"schedule": "constant", "levels": 3}, 1.0)
    drawing = draw("17", tmp_path)
    (axes,) = axes_with(drawing, LEAD)
    assert [text.get_text() for text in axes.texts] == ["no level of\ndensity <= .03"]
    assert drawing.figure.axes[0].containers
