"""Every caption says in two short sentences what is seen, and which data and how many; the rest follows."""

import re
from dataclasses import replace

import pytest

from figures.catalogue import FIGURES
from figures.plots.builder import Caption, Drawing, Missing, new_sheet
from figures.plots.captions.text import CaptionText, fill
from figures.plots.finish import finish
from figures.plots.sentences import format_data, format_n
from figures.results.load import load

LONGEST = 200
NAMES = list(FIGURES)
SENTENCE = re.compile(r"[A-Z][^?]*\.")


@pytest.mark.parametrize("name", NAMES)
def test_the_first_two_sentences_are_short_and_the_second_states_n(drawings, name):
    caption = drawings[name].caption_parts
    for sentence in (caption.seen, caption.data):
        assert SENTENCE.fullmatch(sentence) and len(sentence) < LONGEST, sentence
        assert ". " not in sentence, "one sentence, not two"
    assert re.search(r"\bn = \d|\bn not recorded here|the number n of", caption.data), caption.data
    assert caption.more and caption.text == f"{caption.seen} {caption.data} {caption.more}"


@pytest.mark.parametrize("name", NAMES)
def test_a_caption_says_points_with_their_unit_and_defines_high_sparsity_where_it_uses_it(drawings, name):
    text = drawings[name].caption
    assert not re.search(r"(?<!accuracy )\bpoints\b", text), "points of what?"
    assert not re.search(r"\bH\b", text), "the name of the measure, not its letter"
    assert not re.search(r"high-sparsity(?! accuracy)", text, re.IGNORECASE)
    if "high-sparsity accuracy" in text.lower() and name != "claims":
        assert "mean test accuracy over the levels of density at most .03" in text


@pytest.mark.parametrize(("seen", "data"), [("", "n = 4."), ("A figure.", "")])
def test_a_caption_without_one_of_its_first_sentences_is_refused(seen, data):
    with pytest.raises(ValueError, match="a caption needs a sentence"):
        Caption(seen, data, "the rest")


@pytest.mark.slow
def test_the_opening_and_the_whole_caption_are_in_the_sidecar(folder, tmp_path, writer):
    from figures.provenance.sidecars import read_sidecar
    from figures.regenerate import regenerate

    regenerate(("3", "14"), folder, tmp_path, write=writer, provenance={}, command="make")
    records = load(folder)
    for name in ("3", "14"):
        sidecar, caption = read_sidecar(tmp_path / f"figures/fig{name}.json"), FIGURES[name].draw(records).caption_parts
        assert sidecar["caption"] == caption.text and sidecar["caption_opening"] == f"{caption.seen} {caption.data}"


def test_many_studies_are_counted_rather_than_listed(records):
    (results,) = records.studies
    titles = ("CIFAR-10", "CIFAR-100", "Tiny ImageNet", "ImageNet", "digits")
    kept = [(replace(results, study=replace(results.study, title=title)), ("imp",)) for title in titles]
    words = format_data(kept)
    assert words.startswith("resnet20 on CIFAR-10, ") and words.endswith("and 2 other studies, n = 4 seeds")
    assert format_data(kept[:2]) == "resnet20 on CIFAR-10 and resnet20 on CIFAR-100, n = 4 seeds"


def test_the_number_of_seeds_is_that_of_the_drawn_arms(synthetic):
    accuracy = {"imp": {s: 0.9 + s / 100 for s in range(4)}, "lrr": {s: 0.9 + s / 100 for s in range(4)}}
    (results,) = synthetic.in_memory(accuracy, diverged={("lrr", 2)}).studies
    assert format_data([(results, ("imp", "lrr"))]).endswith("n = 3 to 4 seeds")
    assert format_n([1, 1]) == "n = 1 seed" and format_n([2000], "trial") == "n = 2,000 trials"


def test_a_caption_that_is_one_text_is_refused():
    with pytest.raises(TypeError, match=r"must be a Caption\(seen, data, more\), got 'All in one.'"):
        Drawing(None, {}, "All in one.")


def test_fields_of_a_text_are_filled_in_and_an_empty_one_leaves_no_space():
    text = """One
    {empty} {two}. {empty}"""
    assert fill(text, {"empty": "", "two": "and  two"}) == "One and  two."
    with pytest.raises(KeyError, match="absent"):
        fill("{absent}", {})


def test_the_last_step_fills_in_panels_what_is_missing_and_the_shared_sentences():
    sheet = new_sheet(3, 2, [Missing("losses", "nothing has been run", "paper_repro.py train")])
    sheet.add_panel_label(sheet.figure.subplots(), "a panel", "it is empty.")
    sheet.plotted["x"] = [1]
    text = CaptionText("What is {shown}.", "{panels} {layout} {cut} {missing}")
    drawing = finish(sheet, text, "n = 2 seeds", shown="seen")
    assert drawing.caption_parts.opening == "What is seen. Data: n = 2 seeds."
    assert drawing.caption_parts.more == (
        "(a) it is empty. The layout and all settings are ours, not the paper's."
        " Not drawn: losses (`paper_repro.py train`)."
    )
    assert drawing.plotted == {"x": [1]} and [item.panel for item in drawing.missing] == ["losses"]
