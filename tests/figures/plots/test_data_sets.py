"""Studies on a data set that nothing in figures lists, and smoke runs."""

from dataclasses import replace

import pytest
from matplotlib.text import Text

from figures.analysis.sweeps import find_sweeps
from figures.catalogue import FIGURES
from figures.claims.registry import evaluate
from figures.claims.tables import smoke_note
from figures.plots.builder import NothingToDraw
from figures.plots.choose import SMOKE, absent_datasets
from figures.plots.style import drawing_style
from figures.results.load import load
from figures.results.network import Records
from tests.figures import claim_records as made

pytestmark = pytest.mark.slow

OF_NETWORKS = [name for name, spec in FIGURES.items() if (spec.arms or spec.sweeps) and not spec.presets]
DRAWN_SMOKE = [name for name in OF_NETWORKS if name != "claims"]


def changed(records, **facts):
    return made.on_every_study(records, lambda results: replace(results, study=replace(results.study, **facts)))


def words(drawing):
    return " ".join(" ".join(text.get_text().split()) for text in drawing.figure.findobj(Text) if text.get_visible())


@pytest.fixture(scope="module")
def smoke(records):
    """Every figure of networks, drawn from smoke runs on a data set of no list."""
    made_up = changed(records, dataset="birds", title="Birds of Britain", classes=3, smoke=True)
    with drawing_style():
        return {name: FIGURES[name].draw(made_up) for name in DRAWN_SMOKE}


@pytest.mark.parametrize("name", DRAWN_SMOKE)
def test_an_unknown_data_set_is_drawn_with_its_title_and_a_smoke_run_with_its_mark(smoke, drawings, name):
    drawing = smoke[name]
    assert "Birds of Britain" in words(drawing) and "Birds of Britain" in drawing.caption
    assert SMOKE in words(drawing) and SMOKE in drawing.caption
    assert SMOKE not in words(drawings[name]) and SMOKE not in drawings[name].caption


def test_smoke_runs_on_imagenet_are_marked_beside_the_published_numbers(tmp_path, synthetic):
    synthetic.study(tmp_path, dataset="imagenet", preset="imagenet", rate=0.2, arms={"imp": (0, 0), "lrr": (2.0, 1)})
    drawing = FIGURES["8"].draw(changed(load(tmp_path), smoke=True))
    assert SMOKE in words(drawing) and SMOKE in drawing.caption and drawing.plotted["status"] == "not run"


def test_a_study_on_an_unknown_data_set_is_judged(records):
    new = changed(made.every_record(), dataset="birds", title="Birds of Britain", classes=3)
    found = evaluate(new)
    assert {v.dataset for v in found if v.study} == {"birds"} and {v.verdict for v in found if v.id == "5"} == {
        "reproduced"
    }
    with drawing_style():
        assert "Birds of Britain: preset quick" in words(FIGURES["claims"].draw(new))


def test_smoke_runs_are_left_out_of_the_verdicts_and_of_their_figure():
    real = made.every_record()
    tried = changed(made.every_record(), smoke=True)
    both = Records((*real.studies, *tried.studies), sweeps=(*real.sweeps, *tried.sweeps))
    assert evaluate(both) == evaluate(real) and evaluate(tried) == evaluate(Records())
    with drawing_style(), pytest.raises(NothingToDraw):
        FIGURES["claims"].draw(tried)
    with drawing_style():
        alone, beside = FIGURES["claims"].draw(real), FIGURES["claims"].draw(both)
    assert beside.caption == alone.caption and beside.plotted == alone.plotted


def test_a_smoke_run_changes_nothing_in_the_tables_but_is_named_in_them(folder, tmp_path, writer):
    import json
    import shutil

    from figures.regenerate import regenerate

    def written(results, out):
        regenerate(["claims"], results, out, write=writer, provenance={}, command="")
        document = json.loads((out / "claims.json").read_text())
        table = (out / "CLAIMS.md").read_text()
        return document["smoke_runs"], (document["claims"], document["inputs"]), table

    real, tried = tmp_path / "real", tmp_path / "tried"
    for place in (real, tried):
        shutil.copytree(folder / "theory", place / "theory")
        (place / "studies").mkdir()
    shutil.copytree(folder / "runs", tried / "runs")
    record = json.loads((folder / "studies/quick-digits.json").read_text())
    (tried / "studies/quick-digits.json").write_text(json.dumps({**record, "smoke": True}))
    named, judged, table = written(tried, tmp_path / "a")
    note = f"{smoke_note(['quick-digits'])}\n\n"
    assert named == ["quick-digits"] and table.count(note) == 1 and "`paper_repro.py figures`" in note
    assert written(real, tmp_path / "b") == ([], judged, table.replace(note, ""))


def test_smoke_runs_and_others_are_never_values_of_one_sweep():
    real = made.every_record()
    tried = changed(real, smoke=True)
    found = find_sweeps(replace(real, sweeps=(*real.sweeps, *tried.sweeps)), "width")
    assert [{r.study.smoke for r in sweep.studies} for sweep in found] == [{False}, {True}]
    assert len({sweep.place for sweep in found}) == 2


def test_a_smoke_run_of_the_papers_data_set_leaves_it_not_run():
    study = made.study()
    cifar = replace(study, study=replace(study.study, dataset="cifar10", preset="cifar10", title="CIFAR-10"))
    assert absent_datasets(Records((cifar,)), ("cifar10",), "x") == []
    tried = replace(cifar, study=replace(cifar.study, smoke=True))
    assert len(absent_datasets(Records((tried,)), ("cifar10",), "x")) == 1
