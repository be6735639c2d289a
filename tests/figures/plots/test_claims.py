import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from figures.claims.registry import CLAIMS, evaluate
from figures.claims.verdicts import NOT_REPRODUCED, NOT_RUN, REPRODUCED, REVERSED, SMALLEST_EFFECT
from figures.plots.builder import NothingToDraw
from figures.plots.claims import figure_claims
from figures.plots.style import drawing_style
from figures.results.network import Records
from tests.figures import claim_records as made


def drawn(records):
    with drawing_style():
        return figure_claims(records)


@pytest.fixture(scope="module")
def full(records):
    """A drawing in which every claim has been run."""
    return drawn(replace(made.every_record(), theory=records.theory))


def texts(drawing):
    return [t for t in drawing.figure.axes[0].texts if t.get_text()]


def at(text):
    return text.get_position()[0]


def place_of(drawing, start):
    return next(t for t in texts(drawing) if t.get_text().startswith(start)).get_position()[1]


def line_of(drawing, start):
    """The texts on the line of a claim or row, from left to right."""
    place = place_of(drawing, start)
    return [t.get_text() for t in sorted(texts(drawing), key=at) if t.get_position()[1] == place]


def from_above(drawing):
    return sorted(texts(drawing), key=lambda t: t.get_position()[1])


def marks(drawing):
    """Line -> (place of the marker, ends of the interval, colour) on the axis."""
    found = {}
    for line in drawing.figure.axes[0].lines:
        y = line.get_ydata()
        if len(y) == 1:
            found.setdefault(y[0], {})["mark"] = (line.get_xdata()[0], to_hex(line.get_color()), line.get_marker())
        elif list(y) != [0, 1] and y[0] == y[1] and line.get_linewidth() > 0.6:
            found.setdefault(y[0], {})["ends"] = list(line.get_xdata())
    return found


def test_every_claim_has_its_line_with_its_verdict_as_a_word(full, records):
    verdicts = evaluate(replace(made.every_record(), theory=records.theory))
    assert {v.id for v in verdicts} == set(CLAIMS)
    for verdict in verdicts:
        start = verdict.short if verdict.sweep and verdict.id != "13" else f"{verdict.id}  "
        assert line_of(full, start)[-1] == verdict.verdict
    shown = sum(row.role != "secondary" for verdict in verdicts for row in verdict.rows)
    assert len(marks(full)) == shown


def test_a_mark_stands_at_the_effect_in_multiples_of_the_smallest_that_matters(full):
    found = [mark for _, mark in sorted(marks(full).items())]
    rows = [row for group in full.plotted.values() for verdict in group for row in verdict["rows"]]
    assert len(found) == len(rows)
    for mark, row in zip(found, rows, strict=True):
        scale = SMALLEST_EFFECT[row["unit"]]
        assert mark["mark"][0] == pytest.approx((row["effect"] - row["against"]) / scale)
        ends = [(row[key] - row["against"]) / scale for key in ("low", "high")]
        assert mark["ends"] == pytest.approx(ends)
        assert [row["multiples"][key] for key in ("low", "high")] == pytest.approx(ends)


def test_what_is_no_difference_is_held_against_its_value(full):
    rows = {row["name"]: row for group in full.plotted.values() for v in group for row in v["rows"]}
    assert rows["P(lrr): its interval holds 1/2"]["against"] == 0.5
    assert rows["P(imp): its interval holds 1/4"]["against"] == 0.25
    assert rows["share of trials in which imp finds the mask"]["against"] == 0.98
    assert rows["high-sparsity accuracy, lrr - imp"]["against"] == 0


def test_both_scales_have_zero_and_the_smallest_effect_at_the_same_place(full):
    lower, upper = full.figure.axes
    assert lower.get_xlim() == upper.get_xlim() and lower.get_xscale() == upper.get_xscale() == "symlog"
    labels = [[t.get_text().replace("\N{MINUS SIGN}", "-") for t in axes.get_xticklabels()] for axes in (lower, upper)]
    for place, points, share in zip(lower.get_xticks(), *labels, strict=True):
        assert float(points) == pytest.approx(place * 0.2) and float(share) == pytest.approx(place * 0.02)
    assert {0, 1} <= set(lower.get_xticks())


def test_colour_marker_and_word_say_the_same(synthetic):
    leads = {"imp": 0.0, "lrr": -3.0, "imp-on-lrr-mask": 3.0, "lrr-on-imp-mask": 0.0, "imp-long": -9.0}
    drawing, looks = drawn(synthetic.in_memory(made.accuracy(leads, noise=0.01))), {}
    for start in ("5  ", "6  ", "7  "):
        word = max((t for t in texts(drawing) if t.get_position()[1] == place_of(drawing, start)), key=at)
        looks[word.get_text()] = (to_hex(word.get_color()), *marks(drawing)[place_of(drawing, start)]["mark"][1:])
    assert list(looks) == [REVERSED, REPRODUCED, NOT_REPRODUCED]
    assert all(word == mark for word, mark, _ in looks.values())
    assert len({marker for _, _, marker in looks.values()}) == 3
    assert looks[REPRODUCED][0] != looks[NOT_REPRODUCED][0] == looks[REVERSED][0]


def test_a_control_stands_right_under_its_claim(full):
    assert place_of(full, "against training length") == place_of(full, "5  ") + 1
    five, control = line_of(full, "5  "), line_of(full, "against training length")
    assert five[-1] == control[-1] == REPRODUCED and five[2] == "6"


def test_claims_that_are_not_run_are_listed_as_such_without_a_mark_and_with_their_command(synthetic):
    drawing = drawn(synthetic.in_memory(made.accuracy()))
    assert line_of(drawing, "Lead under every criterion") == ["Lead under every criterion", NOT_RUN]
    commands = {item.command for item in drawing.missing}
    assert "paper_repro.py train --preset quick --sweep criterion" in commands
    assert "paper_repro.py theory factorial" in commands
    assert "paper_repro.py train --preset cifar10 --data-dir DIR" in commands
    assert "claims criteria (`paper_repro.py train --preset quick --sweep criterion`)" in drawing.caption
    rows = [row for group in drawing.plotted.values() for verdict in group for row in verdict["rows"]]
    assert len(marks(drawing)) == sum(row["effect"] is not None for row in rows) < len(rows)


def test_data_sets_stand_under_headings_of_their_own(records, synthetic):
    digits = made.every_record()
    cifar = made.study(seeds=range(4))
    other = replace(
        cifar, study=replace(cifar.study, study="c", dataset="cifar10", title="CIFAR-10", preset="cifar10-small")
    )
    both = replace(digits, studies=(*digits.studies, other), theory=records.theory)
    drawing = drawn(both)
    headings = [t.get_text() for t in from_above(drawing) if t.get_weight() == "bold"]
    wanted = ["One neuron: theory", "digits: preset quick", "CIFAR-10: preset cifar10-small"]
    assert [h for h in headings if h in wanted] == wanted
    assert "digits: sweeps of preset quick, model=resnet8" in headings
    assert "CIFAR-10 (preset cifar10-small" in drawing.caption and "n = 4 seeds" in drawing.caption


def test_the_caption_says_what_holds_in_all_sweeps():
    made_up = made.every_record()
    assert "Sweeps (digits, preset quick) run with model=resnet8, unless that is varied." in drawn(made_up).caption
    own = tuple(replace(r, study=replace(r.study, shared_overrides={})) for r in made_up.sweeps)
    assert "Sweeps (" not in drawn(replace(made_up, sweeps=own)).caption


@pytest.mark.parametrize("case", ["full", "wild", "long", "few"])
def test_no_text_overlaps_or_leaves_the_paper(case, records, full, synthetic):
    if case == "wild":
        drawing = drawn(synthetic.in_memory(made.accuracy(noise=1000, top=50, seeds=range(2))))
    elif case == "long":
        study = made.study()
        name = "cifar10-small with levels=4 and epochs=4 and lr=0.05 and weight-decay=0.001 and batch-size=256"
        study = replace(study, study=replace(study.study, preset=name))
        drawing = drawn(Records((study,)))
    else:
        drawing = full if case == "full" else drawn(synthetic.in_memory({"imp": {0: 0.9}, "lrr": {0: 0.95}}))
    with drawing_style():
        canvas = FigureCanvasAgg(drawing.figure)
        canvas.draw()
        width, height = drawing.figure.bbox.size
        found = [t for t in drawing.figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
        boxes = [(t, t.get_window_extent(canvas.get_renderer())) for t in found]
    for i, (first, a) in enumerate(boxes):
        assert a.x0 >= 0 and a.y0 >= 0 and a.x1 <= width and a.y1 <= height, first.get_text()
        assert first.get_fontsize() >= 7
        for second, b in boxes[i + 1 :]:
            apart = min(a.x1, b.x1) - max(a.x0, b.x0) <= 0.5 or min(a.y1, b.y1) - max(a.y0, b.y0) <= 0.5
            assert apart, (first.get_text(), second.get_text())


def test_an_effect_of_one_seed_has_no_interval(synthetic):
    drawing = drawn(synthetic.in_memory({"imp": {0: 0.9}, "lrr": {0: 0.95}}))
    assert all("ends" not in mark for mark in marks(drawing).values()) and marks(drawing)
    assert line_of(drawing, "5  ")[-1] == "inconclusive (n = 1)"


def test_without_any_result_there_is_nothing_to_draw():
    with pytest.raises(NothingToDraw) as nothing:
        drawn(Records())
    assert any("--sweep width" in item.command for item in nothing.value.missing)


def test_what_is_plotted_is_json_with_scope_seeds_and_p(full):
    found = json.loads(json.dumps(full.plotted, allow_nan=False))
    verdict = next(v for group in found.values() for v in group if v["id"] == "5")
    assert (verdict["dataset"], verdict["preset"], verdict["verdict"]) == ("digits", "quick", REPRODUCED)
    assert verdict["rows"][0]["seeds"] == list(range(6)) and verdict["rows"][0]["p_min"] == 2 / 64
    assert np.isfinite(verdict["rows"][0]["multiples"]["effect"])
