"""Comparing numbers: trees, a figure made again, and two sets of results laid over one another."""

import copy
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures.catalogue import FIGURES
from figures.comparison.overlay import compare_results
from figures.comparison.overlay_drawing import overlay
from figures.comparison.verify import ABSENT, THEORY_TOLERANCE, Tolerance, compare, format_path, verify
from figures.plots.style import drawing_style
from figures.provenance.sidecars import UnknownPicture, check_sidecar, read_sidecar, standing_figure
from figures.regenerate import regenerate
from figures.results.fields import NoFolder

pytestmark = pytest.mark.slow

PROVENANCE = {"versions": {"python": "3.11"}, "git": {"commit": "c" * 40, "dirty": False}, "threads": 1}

leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3)
tree = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


# --- trees ----------------------------------------------------------------------------------------------------------


@given(tree)
def test_a_tree_agrees_with_itself_and_so_does_its_json(value):
    assert not compare(value, json.loads(json.dumps(value))).differences


@given(tree, tree)
def test_two_trees_agree_only_where_they_are_equal_and_order_does_not_matter(left, right):
    there, back = compare(left, right), compare(right, left)
    assert [(d.path, d.left, d.right) for d in there.differences] == sorted(
        ((d.path, d.right, d.left) for d in back.differences),
        key=lambda d: [(e.path) for e in there.differences].index(d[0]),
    )
    if json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True):
        assert not there.differences
    elif left != right:
        assert there.differences


@pytest.mark.parametrize(
    ("left", "right", "path", "values"),
    [
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1]", (2, 3)),
        ({"a": 1}, {}, "a", (1, ABSENT)),
        ({}, {"b": {"c": 1}}, "b", (ABSENT, {"c": 1})),
        ({"a": [1]}, {"a": [1, 2]}, "a", ([1], [1, 2])),
        ({"a": None}, {"a": 0.0}, "a", (None, 0.0)),
        ({"a": True}, {"a": 1}, "a", (True, 1)),
        ({"a": "1"}, {"a": 1}, "a", ("1", 1)),
        ({"a": [[{"b": 1.0}]]}, {"a": [[{"b": 1.5}]]}, "a[0][0].b", (1.0, 1.5)),
        ([1], {"0": 1}, "the whole", ([1], {"0": 1})),
    ],
)
def test_each_difference_is_named_with_its_place_and_both_values(left, right, path, values):
    (difference,) = compare(left, right).differences
    assert (format_path(difference.path), (difference.left, difference.right)) == (path, values)


def test_a_tolerance_is_relative_plus_absolute_and_is_chosen_by_path():
    left, right = {"a": {"x": 100.0}, "b": {"x": 100.0}}, {"a": {"x": 100.9}, "b": {"x": 100.9}}
    wide = Tolerance(relative=0.01)
    found = compare(left, right, lambda path: wide if path[0] == "a" else Tolerance())
    assert [d.path for d in found.differences] == [("b", "x")] and found.numbers == 2
    assert not compare({"x": 0.0}, {"x": 1e-13}, lambda path: THEORY_TOLERANCE).differences
    assert compare({"x": 1.0}, {"x": 1.0 + 1e-8}, lambda path: THEORY_TOLERANCE).differences
    assert not compare({"x": 1e6}, {"x": 1e6 + 1e-4}, lambda path: THEORY_TOLERANCE).differences


def test_what_a_tolerance_skips_is_counted_and_nothing_else_is_skipped():
    skipping = Tolerance(absolute=1.0, skip=frozenset({"p"}))
    found = compare({"p": [1, 2], "q": 1}, {"p": [9, 9], "q": 3}, lambda path: skipping)
    assert found.skipped == 2 and found.numbers == 1 and [d.path for d in found.differences] == [("q",)]


def test_the_largest_difference_is_of_measured_numbers_before_counts():
    left, right = {"n": 4, "a": [0.5, 0.25], "p": 0.9}, {"n": 3, "a": [0.5, 0.5], "p": 0.1}
    assert compare(left, right).largest.path == ("a", 1) and compare(left, right).largest.amount == 0.25
    assert compare({"n": 4}, {"n": 3}).largest.amount == 1
    assert compare({"a": "x"}, {"a": "y"}).largest is None


# --- a figure made again --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(folder, tmp_path_factory, writer):
    out = tmp_path_factory.mktemp("drawn")
    regenerate(["1", "2", "3"], folder, out, write=writer, provenance=PROVENANCE, command="make figures")
    return out / "figures"


def sidecar(drawn, figure_id):
    return read_sidecar(drawn / f"fig{figure_id}.json")


def spoilt(document, *path, value):
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def made_elsewhere(document, **hardware):
    """The document of runs that were trained on other hardware; without any, by two threads."""
    changed = copy.deepcopy(document)
    for study in changed["studies"].values():
        for run in study["arms"].values():
            for made in run["provenance"]:
                made["hardware"] |= hardware
                made["threads"] = made["threads"] if hardware else 2
    return changed


def test_a_figure_agrees_with_itself_and_says_how_exactly(drawn):
    assert verify(sidecar(drawn, "1"), sidecar(drawn, "1")).agrees
    found = verify(sidecar(drawn, "3"), sidecar(drawn, "3"))
    text = "\n".join(found.lines)
    assert found.agrees and "must agree exactly" in text and text.endswith("reproduced") and "otherwise" not in text


def test_a_last_bit_of_a_network_counts_where_all_else_is_the_same(drawn):
    document = sidecar(drawn, "3")
    place = ("plotted", "quick-digits", "curves", "lrr", "mean", 3)
    mean = document["plotted"]["quick-digits"]["curves"]["lrr"]["mean"][3]
    found = verify(document, spoilt(document, *place, value=mean * (1 + 2e-16) + 1e-16))
    text = "\n".join(found.lines)
    assert not found.agrees and "differs: quick-digits.curves.lrr.mean[3]: " in text and "NOT reproduced" in text


def test_other_threads_are_named_and_allow_a_stated_tolerance(drawn):
    document = sidecar(drawn, "3")
    place = ("plotted", "quick-digits", "curves", "lrr", "mean", 3)
    near, far = (made_elsewhere(spoilt(document, *place, value=v)) for v in (0.93, 0.5))
    found, lost = verify(document, near), verify(document, far)
    text = "\n".join(found.lines)
    assert found.agrees and "made differently: threads 1 then, 2 now" in text and "within 0.05" in text
    assert "values derived from other numbers were not compared" in text and not lost.agrees
    assert not verify(document, near, within=1e-6).agrees
    marked = spoilt(document, "plotted", "quick-digits", "differences", "lrr", "p_holm", 0, value=0.9)
    assert not verify(document, marked).agrees and verify(document, made_elsewhere(marked)).agrees


def test_another_instruction_set_of_one_processor_allows_it_too(drawn):
    document = sidecar(drawn, "3")
    near = spoilt(document, "plotted", "quick-digits", "curves", "lrr", "mean", 3, value=0.93)
    avx512, avx2 = (made_elsewhere(document, instruction_set=name) for name in ("AVX512", "AVX2"))
    assert not verify(avx512, made_elsewhere(near, instruction_set="AVX512")).agrees
    found = verify(avx2, made_elsewhere(near, instruction_set="AVX512"))
    assert found.agrees and "made differently: instruction_set AVX2 then, AVX512 now" in "\n".join(found.lines)


def test_numbers_of_the_neuron_keep_their_tolerance_whatever_the_networks_have(drawn):
    document = sidecar(drawn, "2")
    low = document["plotted"]["neuron"]["lrr"]["low"][2]
    for change, agrees in ((1e-12, True), (1e-6, False)):
        again = made_elsewhere(spoilt(document, "plotted", "neuron", "lrr", "low", 2, value=low + change))
        assert verify(document, again).agrees is agrees


def test_a_missing_curve_a_null_and_another_seed_count_are_differences(drawn):
    document = sidecar(drawn, "3")
    fewer = copy.deepcopy(document)
    del fewer["plotted"]["quick-digits"]["curves"]["imp-long"]
    null = spoilt(document, "plotted", "quick-digits", "curves", "lrr", "mean", 0, value=None)
    seeds = spoilt(document, "plotted", "quick-digits", "curves", "lrr", "n", 0, value=3)
    for again, word in ((fewer, "imp-long"), (null, "None"), (seeds, "n[0]")):
        found = verify(document, again)
        assert not found.agrees and word in "\n".join(found.lines)


def test_a_study_that_was_not_run_again_is_left_out_and_named(drawn):
    document = sidecar(drawn, "2")
    again = copy.deepcopy(document)
    again["plotted"] = {"neuron": document["plotted"]["neuron"]}
    assert not verify(document, again).agrees
    found = verify(document, again, left_out={"quick-digits"})
    assert found.agrees and "masks quick-digits" in "\n".join(found.lines)


def test_nothing_to_compare_is_no_reproduction(drawn):
    document = spoilt(sidecar(drawn, "3"), "plotted", value={})
    assert not verify(document, document).agrees


def test_other_code_parameters_and_commits_are_said_and_forgive_nothing(drawn):
    document = sidecar(drawn, "1")
    other = spoilt(document, "theory", "stories", "params", value={"d": 3})
    other["code_sha256"] = "0" * 64
    other["provenance"]["git"]["commit"] = "d" * 40
    text = "\n".join(verify(document, other).lines)
    assert "parameter of stories, d: 2 against 3" in text and "drawing code differs" in text and "d" * 40 in text


def test_the_standing_figure_is_found_in_its_folder_and_no_other_record_passes(drawn, tmp_path):
    assert standing_figure("3", drawn) == standing_figure("3", drawn / "fig3.json")
    with pytest.raises(UnknownPicture, match="paper_repro.py figures 4"):
        standing_figure("4", drawn)
    with pytest.raises(UnknownPicture, match="record of figure 1"):
        standing_figure("3", drawn / "fig1.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "run"), ("studies", []), ("inputs", [1]), ("outputs", {"a": 1}), ("plotted", None), ("summary", [1]),
     ("studies", {"s": {"scope": "", "command": "", "arms": {"imp": {"run": "r"}}}}), ("reference", {"studies": 3})],
)  # fmt: skip
def test_a_record_with_a_field_of_another_kind_is_refused_by_name(drawn, tmp_path, name, value):
    (tmp_path / "fig3.json").write_text(json.dumps(sidecar(drawn, "3") | {name: value}))
    with pytest.raises(UnknownPicture, match=name):
        read_sidecar(tmp_path / "fig3.json")


# --- two sets of results --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moved(folder, tmp_path_factory):
    """The same results with LRR a point lower."""
    other = tmp_path_factory.mktemp("moved") / "other"
    shutil.copytree(folder, other)
    for path in other.glob("runs/lrr-digits-*/seed-*/level-*/level.json"):
        level = json.loads(path.read_text())
        path.write_text(json.dumps(level | {"test_accuracy": level["test_accuracy"] - 0.01}))
    return other


def lay(results, other, out, ids, writer):
    return compare_results(ids, results, other, out, write=writer, provenance=PROVENANCE, command="compare")


def test_curves_of_the_second_lie_pale_behind_those_of_the_first(records, moved):
    from figures.results.load import load

    with drawing_style():
        first, second = FIGURES["3"].draw(records), FIGURES["3"].draw(load(moved))
        before = [len(axes.lines) for axes in first.figure.axes]
        done = overlay(first.figure, second.figure, ("ours", "theirs"))
    assert (done.curves, done.panels, done.alone, done.cut) == (9, 2, (), ())
    axes = first.figure.axes[0]
    assert [len(a.lines) - b for a, b in zip(first.figure.axes, before, strict=True)] == [5, 4]
    mean = second.plotted["quick-digits"]["curves"]["lrr"]["mean"]
    pale = [line for line in axes.lines if line.get_label() == "_other"]
    behind = next(line for line in pale if list(line.get_ydata()) == mean)
    front = next(c for c in axes.containers if c.get_label() == "LRR")[0]
    assert behind.get_color() == front.get_color() and behind.get_alpha() < 1
    assert behind.get_zorder() < front.get_zorder() and behind.get_linewidth() < front.get_linewidth()
    low, high = axes.get_ylim()
    assert all(low <= y <= high for line in pale for y in line.get_ydata())
    words = [text.get_text() for legend in first.figure.legends for text in legend.get_texts()]
    assert "ours" in words and "pale and thin: theirs" in words


def panel(x, y, label):
    """A figure of one panel with a dense-left axis of fixed limits and one curve."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.set_title("(a) digits", loc="left")
    axes.plot(x, y, label=label)
    axes.set(xlim=(1.3, 0.1), ylim=(0, 1))
    return figure


def test_axes_grow_in_height_for_the_second_and_what_is_cut_or_alone_is_named():
    first = panel([1, 0.5], [0.2, 0.8], "LRR")
    done = overlay(first, panel([1, 0.5, 0.01], [0.5, 2.0, 9.0], "LRR"), ("a", "b"))
    low, high = first.axes[0].get_ylim()
    assert first.axes[0].get_xlim() == (1.3, 0.1) and low == 0 and 2.0 < high < 3
    assert done.cut == ("digits: LRR",) and not done.alone
    done = overlay(panel([1], [1], "LRR"), panel([1], [1], "IMP"), ("a", "b"))
    assert done.curves == 0 and done.alone == ("digits: IMP", "digits: LRR")


def test_a_comparison_says_what_differs_where_and_who_made_the_other(folder, moved, tmp_path, writer):
    outcomes = {o.id: o for o in lay(folder, moved, tmp_path, ["3", "5", "1"], writer)}
    assert {o.status for o in outcomes.values()} == {"drawn"} and not (tmp_path / "figures").exists()
    three = read_sidecar(tmp_path / "compare/fig3.json")
    largest = three["differences"]["largest"]
    assert largest["difference"] == pytest.approx(0.01, rel=0.05) and "lrr" in largest["path"]
    assert three["differences"]["numbers"] > 100 and "9 curves in 2 panels" in three["caption"]
    run = three["reference"]["studies"]["quick-digits"]["arms"]["lrr"]
    assert run["provenance"][0]["hardware"]["cpu"] == "synthetic" and len(three["reference"]["inputs"]) > 10
    assert three["plotted"] != three["plotted_against"]
    for name, digest in three["outputs"].items():
        assert hashlib.sha256((tmp_path / "compare" / name).read_bytes()).hexdigest() == digest
    assert "only the numbers of" in read_sidecar(tmp_path / "compare/fig5.json")["caption"]
    assert "numbers 0 differ" in outcomes["1"].message


def test_a_folder_of_records_is_compared_by_its_numbers_alone(folder, drawn, tmp_path, writer):
    done = {o.id: o for o in lay(folder, drawn, tmp_path, ["3", "5"], writer)}
    assert "numbers 0 differ" in done["3"].message and done["5"].status == "missing"
    assert "only numbers are compared" in read_sidecar(tmp_path / "compare/fig3.json")["caption"]


@pytest.mark.parametrize("spoilt_side", ["first", "second"])
@pytest.mark.parametrize(
    ("ids", "pattern"),
    [("3", "runs/lrr-*/seed-0/level-01/level.json"), ("3", "studies/*.json"), ("1", "theory/*.json")],
)
def test_a_comparison_without_files_that_cannot_be_trusted_fails_and_names_them(
    folder, tmp_path, writer, spoilt_side, ids, pattern
):
    damaged = Path(shutil.copytree(folder, tmp_path / "damaged"))
    for file in sorted(damaged.glob(pattern)):
        file.write_bytes(file.read_bytes()[:-20])
    sides = (damaged, folder) if spoilt_side == "first" else (folder, damaged)
    (outcome,) = lay(*sides, tmp_path / "out", [ids], writer)
    assert outcome.status == "failed" and "damaged: " + pattern.partition("*")[0] in outcome.message
    assert "no results for it in common" not in outcome.message
    (whole,) = lay(folder, folder, tmp_path / "whole", [ids], writer)
    assert whole.status == "drawn" and "without" not in whole.message


def test_studies_that_only_one_side_has_are_not_laid_over_others(folder, synthetic, tmp_path, writer):
    elsewhere = tmp_path / "elsewhere"
    synthetic.study(elsewhere, dataset="cifar10", preset="cifar10")
    (outcome,) = lay(folder, elsewhere, tmp_path / "out", ["3"], writer)
    assert outcome.status == "missing" and "in common" in outcome.message
    synthetic.study(elsewhere, seed=8)
    (outcome,) = lay(elsewhere, folder, tmp_path / "out", ["3"], writer)
    found = read_sidecar(tmp_path / "out/compare/fig3.json")
    assert outcome.status == "drawn" and found["overlay"]["panels"] == 2
    assert found["overlay"]["alone"] and all("CIFAR-10" in x or "the same" in x for x in found["overlay"]["alone"])


def test_panels_are_matched_by_their_study_where_titles_repeat(synthetic, tmp_path):
    from figures.results.load import load

    for seed, place in ((7, "a"), (8, "b")):
        for name in ("digits", "cifar10"):
            preset = "quick" if name == "digits" else name
            synthetic.study(tmp_path / place, dataset=name, preset=preset, seed=seed, scale=1.0 + seed)
    with drawing_style():
        first, second = (FIGURES["3"].draw(load(tmp_path / place)) for place in "ab")
        done = overlay(first.figure, second.figure, ("a", "b"))
    assert done.panels == 4 and not done.alone
    for axes, study in zip(first.figure.axes[1::2], second.plotted, strict=True):
        wanted = second.plotted[study]["differences"]["lrr"]["mean"]
        pale = [list(line.get_ydata()) for line in axes.lines if line.get_label() == "_other"]
        assert wanted in pale


@pytest.mark.parametrize("content", [None, "nothing of ours"])
def test_a_folder_without_results_or_records_is_refused(folder, tmp_path, content, writer):
    other = tmp_path / "other"
    if content:
        other.mkdir()
        (other / "notes.txt").write_text(content)
    with pytest.raises(NoFolder, match="other"):
        lay(folder, other, tmp_path, ["3"], writer)


def test_a_comparisons_record_is_one_that_readers_take(folder, moved, tmp_path, writer):
    from figures.provenance.explain import explain

    lay(folder, moved, tmp_path, ["3"], writer)
    check_sidecar(json.loads((tmp_path / "compare/fig3.json").read_text()), "fig3.json")
    text = explain(tmp_path / "compare/fig3.png", folder)
    assert "Compared with:" in text and "Largest difference: 0.01" in text and "are unchanged" in text


# --- explain --------------------------------------------------------------------------------------------------------


def test_a_figure_is_explained_by_its_id_and_inputs_are_held_against_the_results(drawn, folder, tmp_path):
    from figures.provenance.explain import explain

    copied = tmp_path / "results"
    shutil.copytree(folder, copied)
    out = drawn.parent
    assert "are unchanged" in explain("3", copied, out) and explain("3", copied, out) == explain(
        drawn / "fig3.json", copied
    )
    level = "runs/lrr-digits-resnet20-0000cafe/seed-1/level-02/level.json"
    (copied / level).write_text("{}")
    (copied / level.replace("seed-1", "seed-2")).unlink()
    text = explain("3", copied, out)
    assert f"changed  {level}" in text and f"gone     {level.replace('seed-1', 'seed-2')}" in text
    assert "2 of" in text and "WARNING" in text
    absent = explain("3", tmp_path / "none", out)
    assert "there is no folder" in absent and "give the folder of the results with --results" in absent


def test_every_figure_can_be_asked_for_and_says_how_to_make_it(tmp_path):
    from figures.provenance.explain import explain

    for name in (*FIGURES, "claims"):
        with pytest.raises(UnknownPicture, match=f"paper_repro.py figures {name}"):
            explain(name, out=tmp_path)


def test_claims_are_explained_with_what_has_not_been_run(folder, tmp_path, writer, synthetic):
    from figures.provenance.explain import explain

    theory = tmp_path / "theory-only"
    synthetic.theory(theory)
    regenerate(["claims"], theory, tmp_path, write=writer, provenance=PROVENANCE, command="paper_repro.py claims")
    text = explain("claims", theory, tmp_path)
    assert "Not run: claims" in text and "paper_repro.py train --preset quick" in text and "are unchanged" in text


def test_a_record_cannot_have_files_outside_the_results_read(drawn, folder, tmp_path):
    from figures.provenance.explain import explain

    secret = tmp_path / "secret"
    secret.write_text("x")
    document = sidecar(drawn, "3")
    document["inputs"] = [{"path": "../secret", "sha256": hashlib.sha256(b"x").hexdigest()}]
    (tmp_path / "fig3.json").write_text(json.dumps(document))
    (tmp_path / "results").mkdir()
    assert "outside" in explain(Path(tmp_path / "fig3.json"), tmp_path / "results")
