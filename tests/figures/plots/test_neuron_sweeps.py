"""Figure 14, the figure `basins`, the checks of their results, and the neuron's rows of claims 3, 13 and 14."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from figures.catalogue import FIGURES
from figures.claims.registry import evaluate
from figures.claims.tables import claims_markdown
from figures.claims.verdicts import NOT_REPRODUCED, NOT_RUN, REPRODUCED, REVERSED
from figures.results.fields import ResultError
from figures.results.network import Records
from figures.results.neuron import check_values

pytestmark = pytest.mark.slow

INITS = {"balanced": 0, "bounded": 1, "normal": 2}  # the place of each panel


def altered(records, experiment, change):
    values = json.loads(json.dumps(records.theory[experiment].values))
    change(values)
    result = dataclasses.replace(records.theory[experiment], values=values)
    return dataclasses.replace(records, theory={**records.theory, experiment: result})


def judged(records):
    return {verdict.id: verdict for verdict in evaluate(records)}


def bars(axes):
    return [c for c in axes.containers if type(c).__name__ == "ErrorbarContainer"]


def heights(container):
    line, _, (segments,) = container.lines
    ends = np.array([s[:, 1] if len(s) else [np.nan, np.nan] for s in map(np.asarray, segments.get_segments())])
    return np.asarray(line.get_ydata(), float), ends


# --- figure 14


@pytest.mark.parametrize("init", INITS)
def test_figure_14_draws_the_counted_shares_their_intervals_and_the_exact_lines(drawings, records, init):
    axes, content = drawings["14"].figure.axes[INITS[init]], records.theory["dimension"].values["inits"][init]
    drawn = {container.get_label(): container for container in bars(axes)}
    for rule, label in (("imp", "IMP"), ("lrr", "LRR")):
        y, ends = heights(drawn[label])
        assert y == pytest.approx([cell["successes"] / cell["trials"] for cell in content[rule]])
        shown = np.isfinite(ends[:, 0])
        assert ends[shown, 0] == pytest.approx(np.array([cell["low"] for cell in content[rule]])[shown])
        assert ends[shown, 1] == pytest.approx(np.array([cell["high"] for cell in content[rule]])[shown])
        exact = [cell["exact"] for cell in content[rule]]
        assert any(list(line.get_ydata()) == exact for line in axes.lines)


def test_figure_14_draws_the_switches_of_each_kind_of_start_beside_half_the_dense_probability(drawings, records):
    axes, inits = drawings["14"].figure.axes[3], records.theory["dimension"].values["inits"]
    drawn = {container.get_label(): heights(container)[0] for container in bars(axes)}
    for init, name in (("balanced", "balanced"), ("bounded", "a = u |w|"), ("normal", "N(0, 1/d)")):
        cells = inits[init]["switches"]
        assert drawn[f"sign switches, {name}"] == pytest.approx([c["successes"] / c["trials"] for c in cells])
        assert any(list(line.get_ydata()) == [c["exact"] for c in cells] for line in axes.lines)


def test_figure_14_draws_imp_and_lrr_side_by_side_where_they_are_equal(drawings):
    for axes in drawings["14"].figure.axes[:3]:
        first, second = (np.asarray(c.lines[0].get_xdata(), float) for c in bars(axes))
        assert (second / first > 1.05).all()


def test_the_caption_of_figure_14_says_what_was_counted_and_which_effect_decides(drawings, records):
    caption = drawings["14"].caption
    for words in ("is ours", "20,000 random starts", "Clopper-Pearson 95 %", "exact", "on the same starts"):
        assert words in caption
    deciding, beside = (
        records.theory["dimension"].values["inits"][init]["overparametrisation"] for init in ("balanced", "normal")
    )
    assert (
        f"{deciding['value']:.3f} [{deciding['low']:.3f}, {deciding['high']:.3f}] (the effect that decides" in caption
    )
    assert f"{beside['value']:.3f} [{beside['low']:.3f}, {beside['high']:.3f}]." in caption


def test_figure_14_says_to_which_start_the_probabilities_belong_and_measures_both(drawings, records):
    caption, inits = drawings["14"].caption, records.theory["dimension"].values["inits"]
    assert "The theorem's probabilities, 1/2 for LRR and 1/4 for IMP, belong to balanced starts." in caption
    for init, exact in (("balanced", ("0.5", "0.25")), ("bounded", ("1", "0.315"))):
        for rule, value in zip(("lrr", "imp"), exact, strict=True):
            cell = inits[init][rule][4]  # d = 10
            share = cell["successes"] / cell["trials"]
            assert f"{rule.upper()} {share:.3f} [{cell['low']:.3f}, {cell['high']:.3f}] (exactly {value})" in caption


def test_figure_14_draws_results_without_the_authors_start_and_names_the_command(records):
    old = altered(records, "dimension", lambda v: v["inits"].pop("bounded"))
    check_values("dimension", old.theory["dimension"].values, {}, "f.json")
    drawing = FIGURES["14"].draw(old)
    assert list(drawing.plotted) == ["balanced", "normal", "switches"] and len(drawing.figure.axes) == 3
    assert [item.command for item in drawing.missing] == ["paper_repro.py theory dimension"]


def test_figure_14_follows_its_records(records):
    changed = altered(
        records, "dimension", lambda v: v["inits"]["balanced"]["imp"][3].update(successes=123, low=0.0, high=0.1)
    )
    axes = FIGURES["14"].draw(changed).figure.axes[0]
    assert heights(bars(axes)[0])[0][3] == pytest.approx(123 / 20_000)


# --- figure `basins`


@pytest.mark.parametrize(("panel", "least"), [("one", -2), ("several", 0)])
def test_the_shaded_basin_is_the_rule_and_holds_the_computed_learners(drawings, panel, least):
    plotted = drawings["basins"].plotted[panel]
    region = Outline(plotted["region"]["learns"])
    a, w = np.random.default_rng(0).uniform((-2, least), (2, 2), size=(500, 2)).T
    assert (region.contains_points(np.stack([a, w], 1)) == ((w > 0) & (a > -w))).all()
    axes = drawings["basins"].figure.axes[0 if panel == "one" else 1]
    marks = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert region.contains_points(marks["computed: learns"]).all()
    assert not region.contains_points(marks["computed: fails"]).any()
    for word in ("learns", "fails", "undecided"):
        assert len(marks[f"computed: {word}"]) == plotted["counts"][word]


def test_no_witness_is_cut_by_the_frame(drawings):
    for axes in drawings["basins"].figure.axes[:2]:
        for line in axes.lines[1:]:
            x, y = np.asarray(line.get_xydata(), float).T
            assert (abs(x) < axes.get_xlim()[1]).all() and (y < axes.get_ylim()[1]).all()


def test_success_over_the_ratio_is_drawn_for_every_dimension_over_its_exact_curve(drawings, records):
    axes, result = drawings["basins"].figure.axes[2], records.theory["basins"]
    drawn = [tuple(heights(container)[0]) for container in bars(axes)]
    expected = [("imp", 0), ("imp", 1), ("lrr", 1), ("imp", 2), ("lrr", 2)]  # d = 1: LRR is IMP
    success = result.values["success"]
    assert drawn == [tuple(c["successes"] / c["trials"] for c in success[rule][place]) for rule, place in expected]
    curves = [tuple(line.get_ydata()) for line in axes.lines]
    for curve in (result.arrays["curve_imp"][0], *result.arrays["curve_lrr"][1:]):
        assert tuple(curve) in curves
    assert {text.get_text() for text in axes.texts} == {"IMP, every d", "LRR, d = 2", "LRR, d = 10"}


def test_the_names_of_the_curves_touch_no_curve(drawings, records):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, result = drawings["basins"].figure, records.theory["basins"]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = figure.axes[2]
    for text in axes.texts:
        box = text.get_window_extent(canvas.get_renderer())
        assert axes.get_window_extent().x0 < box.x0 and box.x1 < axes.get_window_extent().x1
        for curve in (*result.arrays["curve_imp"], *result.arrays["curve_lrr"]):
            points = axes.transData.transform(np.stack([result.arrays["curve_ratio"], curve], 1))
            assert not any(box.contains(x, y) for x, y in points), text.get_text()


def test_the_caption_of_basins_counts_its_witnesses_and_what_contradicts_the_rule(drawings, records):
    assert "0 contradict the rule" in drawings["basins"].caption
    changed = altered(records, "basins", lambda v: v["witnesses"]["several"].update(contradictions=4))
    caption = FIGURES["basins"].draw(changed).caption
    assert "4 contradict the rule" in caption and "d = 2, 10" in caption and "t = 2,000" in caption


# --- checks of the results


def spoil(values, path, value):
    spot = values
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = value


DIMENSION_FAULTS = [
    (("dimensions",), [1, 0]),
    (("trials",), -1),
    (("compared",), "1 and 10"),
    (("inits", "normal"), None),
    (("inits", "bounded", "imp"), []),
    (("inits", "balanced", "imp"), []),
    (("inits", "balanced", "imp", 2), {}),
    (("inits", "balanced", "lrr", 0, "successes"), 20_001),
    (("inits", "balanced", "lrr", 0, "exact"), 1.5),
    (("inits", "balanced", "switches", 0, "low"), "0"),
    (("inits", "balanced", "lrr - imp", 0, "value"), 3.0),
    (("inits", "balanced", "overparametrisation", "high"), None),
]


@pytest.mark.parametrize(("path", "value"), DIMENSION_FAULTS)
def test_a_spoiled_field_of_dimension_is_named(records, path, value):
    values = json.loads(json.dumps(records.theory["dimension"].values))
    check_values("dimension", values, {}, "f.json")
    spoil(values, path, value)
    with pytest.raises(ResultError, match=f"f.json: .*{path[0]}"):
        check_values("dimension", values, {}, "f.json")


BASIN_FAULTS = [
    (("dimensions",), []),
    (("ratios",), [0.1, -1]),
    (("witnesses", "one", "learns"), -1),
    (("witnesses", "one", "starts"), 7),
    (("witnesses", "several", "d"), None),
    (("success", "imp"), []),
    (("success", "lrr", 1), [{}]),
    (("success", "lrr", 1, 3, "successes"), 10**6),
]


@pytest.mark.parametrize(("path", "value"), BASIN_FAULTS)
def test_a_spoiled_field_of_basins_is_named(records, path, value):
    result = records.theory["basins"]
    values = json.loads(json.dumps(result.values))
    check_values("basins", values, result.arrays, "f.json")
    spoil(values, path, value)
    with pytest.raises(ResultError, match="f.json: "):
        check_values("basins", values, result.arrays, "f.json")


@pytest.mark.parametrize(
    "name", ["separatrix", "one_start", "one_verdict", "several_start", "curve_ratio", "curve_imp", "curve_lrr"]
)
def test_an_array_of_basins_that_is_absent_or_of_another_shape_is_named(records, name):
    result = records.theory["basins"]
    lost = {key: array for key, array in result.arrays.items() if key != name}
    for arrays in (lost, lost | {name: result.arrays[name][:1]}, lost | {name: result.arrays[name][..., None]}):
        if name == "separatrix" and name in arrays and arrays[name].ndim == 2:
            continue  # a separatrix may have any number of points
        with pytest.raises(ResultError, match=r"f.json: arrays\."):
            check_values("basins", result.values, arrays, "f.json")


# --- claims


def neuron_rows(records):
    """Claim 13's rows of the neuron: the one that decides, and the one beside it."""
    return [row for row in judged(records)["13"].rows if row.name.startswith("neuron")]


def test_the_neuron_supports_claim_13_from_balanced_starts_and_a_width_sweep_is_needed_too(records):
    neuron, normal = neuron_rows(records)
    assert neuron.verdict == REPRODUCED and neuron.decides and "balanced" in neuron.name and neuron.n == 20_000
    assert neuron.effect == pytest.approx(0.25) and neuron.low < 0.25 < neuron.high
    assert normal.role == "secondary" and "N(0, 1/d)" in normal.name and normal.verdict == "above 0"
    alone = judged(dataclasses.replace(records, sweeps=()))["13"]
    networks = next(row for row in alone.rows if row.name.startswith("networks"))
    assert networks.verdict == NOT_RUN and networks.decides and "--sweep width" in networks.command
    assert alone.verdict == NOT_RUN  # a conjunction needs every part


def of_shuffled_rules(rng, trials, shuffle):
    """Claim 13's effect over made-up starts, LRR learning on 1/2 and IMP on half of these; with d = 1 they agree."""
    lrr = rng.random(trials) < 0.5
    lead = np.where(lrr & (rng.random(trials) < 0.5), 1.0, 0.0)
    lead = np.where(rng.random(trials) < 0.5, -lead, lead) if shuffle else lead
    half = 1.96 * lead.std() / np.sqrt(trials)
    return {"value": lead.mean(), "low": lead.mean() - half, "high": lead.mean() + half}


@pytest.mark.parametrize(("shuffle", "verdict"), [(False, REPRODUCED), (True, NOT_REPRODUCED)])
def test_shuffled_rules_turn_the_verdict_of_claim_13(records, shuffle, verdict):
    effect = of_shuffled_rules(np.random.default_rng(1), 20_000, shuffle)
    changed = altered(records, "dimension", lambda v: v["inits"]["balanced"].update(overparametrisation=effect))
    assert neuron_rows(changed)[0].verdict == verdict
    assert judged(changed)["13"].verdict == verdict, "the networks' part is reproduced here"


def test_swapped_rules_reverse_claim_13(records):
    effect = {"value": -0.25, "low": -0.256, "high": -0.244}
    changed = altered(records, "dimension", lambda v: v["inits"]["balanced"].update(overparametrisation=effect))
    assert neuron_rows(changed)[0].verdict == REVERSED


def test_normal_starts_do_not_decide_claim_13(records):
    effect = {"value": -0.25, "low": -0.256, "high": -0.244}
    changed = altered(records, "dimension", lambda v: v["inits"]["normal"].update(overparametrisation=effect))
    assert [row.verdict for row in neuron_rows(changed)] == [REPRODUCED, "below 0"]


def test_claim_13_takes_no_other_dimensions_than_those_fixed_before_the_data(records):
    neuron = neuron_rows(altered(records, "dimension", lambda v: v.update(compared=[2, 10])))[0]
    assert neuron.verdict == NOT_RUN and "compares d = [2, 10]" in neuron.note


def test_without_the_sweep_claim_13_names_the_command_that_makes_it():
    row = neuron_rows(Records())[0]
    assert row.verdict == NOT_RUN and row.command == "paper_repro.py theory dimension"


def test_claim_14_shows_both_main_effects_and_the_interaction_of_the_neuron_beside(records):
    rows = [row for row in judged(records)["14"].rows if row.name.startswith("neuron")]
    assert len(rows) == 6 and all(row.role == "secondary" for row in rows)
    effects = records.theory["factorial"].values["inits"]
    assert [row.effect for row in rows] == [
        effects[init]["effects"][name]["value"]
        for init in ("balanced", "normal")
        for name in ("signs", "magnitudes", "interaction")
    ]


def test_claim_3_says_how_often_its_two_intervals_fail_by_chance(records):
    from figures.analysis.statistics import clopper_pearson

    rows = judged(records)["3"].rows
    assert [bool(row.note) for row in rows] == [False, True, True] and "at most 1 seed in 10" in rows[1].note
    assert rows[1].note in claims_markdown(evaluate(records))
    rng, failed = np.random.default_rng(0), 0
    for _ in range(1000):  # seeds under the truth: IMP learns on half of the starts on which LRR does
        lrr = rng.binomial(20_000, 0.5)
        counts = ((lrr, 0.5), (rng.binomial(lrr, 0.5), 0.25))
        intervals = [(clopper_pearson(count, 20_000), value) for count, value in counts]
        failed += not all(low <= value <= high for (low, high), value in intervals)
    assert 0.05 < failed / 1000 <= 0.1


def test_the_rows_of_the_theorems_name_their_dimensions(records):
    changed = altered(records, "theorem-check", lambda v: v["claims"]["2"].update(d=[2, 3, 5, 10]))
    assert judged(changed)["2"].scope == "theory, 20,000 random starts, d = 2, 3, 5, 10"
    assert judged(changed)["1"].scope == "theory, 20,000 random starts"
