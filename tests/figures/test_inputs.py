import hashlib
import json
import os
import shutil
from dataclasses import replace

import pytest

from figures.analysis.sweeps import find_sweeps
from figures.catalogue import FIGURES
from figures.claims.registry import evaluate
from figures.inputs import figure_inputs, figure_problems, studies_used
from figures.plots.builder import Caption, Drawing
from figures.plots.style import PICTURE_FORMATS
from figures.regenerate import regenerate
from figures.results.load import load
from figures.results.network import Problem
from tests.figures.claim_records import as_theirs, on_every_study

pytestmark = pytest.mark.slow

LOOKED_AT = ["3", "16", "18", "claims"]
OF_SWEEPS = [name for name, spec in FIGURES.items() if spec.sweeps]


def make(results, out, ids, writer):
    made = regenerate(ids, results, out, write=writer, provenance={}, command="make figures")
    return {outcome.id: outcome for outcome in made}


@pytest.fixture(scope="module")
def drawn(folder, tmp_path_factory, writer):
    """Output folder of two of the figures that are looked at here."""
    out = tmp_path_factory.mktemp("out")
    make(folder, out, ["16", "claims"], writer)
    return out


def sketch(spec, records):
    """In place of drawing, which takes most of the time: what is drawn again is asked here, not how."""
    drawing = Drawing(None, {}, Caption("What is seen.", "The data, n = 1."))
    return drawing, dict.fromkeys(PICTURE_FORMATS, spec.id.encode())


@pytest.fixture
def copies(folder, tmp_path, monkeypatch, writer):
    """Results, to be changed, and what has been made of them."""
    monkeypatch.setattr("figures.regenerate._draw", sketch)
    shutil.copytree(folder, tmp_path / "results", copy_function=os.link)
    make(tmp_path / "results", tmp_path / "out", LOOKED_AT, writer)
    return tmp_path / "results", tmp_path / "out"


def spoil(path):
    path.unlink()  # it is a link
    path.write_bytes(b"{")


def level_of(root, study, arm="lrr", seed=1, level=2):
    record = json.loads((root / "studies" / f"{study}.json").read_text())
    return root / "runs" / record["arms"][arm] / f"seed-{seed}" / f"level-{level:02d}" / "level.json"


def studies(records, name):
    return {r.study.swept: r.study.study for r in records.sweeps if r.study.swept in (name, "base")}


def statuses(copies, writer):
    return {name: outcome.status for name, outcome in make(*copies, LOOKED_AT, writer).items()}


def test_nothing_is_drawn_twice(copies, writer):
    assert set(statuses(copies, writer).values()) == {"current"}


@pytest.mark.parametrize(
    ("study", "redrawn"),
    [("model", {"18", "claims"}), ("base", {"16", "18", "claims"}), (None, {"3", "claims"})],
)
def test_a_deleted_result_file_remakes_what_depends_on_it_and_no_more(copies, records, writer, study, redrawn):
    name = studies(records, "model")[study] if study else records.studies[0].study.study
    level_of(copies[0], name).unlink()
    found = statuses(copies, writer)
    assert {figure for figure, status in found.items() if status == "drawn"} == redrawn
    assert {found[figure] for figure in set(found) - redrawn} == {"current"}
    assert set(statuses(copies, writer).values()) == {"current"}


def test_a_file_that_no_claim_reads_leaves_the_claims_alone(copies, records, writer):
    (copies[0] / "theory/quadrants-0000cafe.json").unlink()
    assert statuses(copies, writer)["claims"] == "current"
    (copies[0] / "theory/factorial-0000cafe.json").unlink()
    assert statuses(copies, writer)["claims"] == "drawn"


@pytest.mark.parametrize("name", ["16", "claims"])
def test_a_sidecar_lists_the_studies_of_its_sweeps_and_every_file(drawn, folder, records, name):
    sidecar = json.loads((drawn / f"figures/fig{name}.json").read_text())
    varied = {*FIGURES[name].sweeps, "base"}
    wanted = {r.study.study for r in records.sweeps if r.study.swept in varied}
    assert wanted and wanted <= set(sidecar["studies"])
    paths = {item["path"] for item in sidecar["inputs"]}
    for study in wanted:
        assert f"studies/{study}.json" in paths
        assert sidecar["studies"][study]["arms"]["lrr"]["seeds"] == [0, 1, 2, 3]
        assert level_of(folder, study).relative_to(folder).as_posix() in paths
    for item in sidecar["inputs"][::17]:
        assert hashlib.sha256((folder / item["path"]).read_bytes()).hexdigest() == item["sha256"]


def test_a_corrupt_file_of_a_sweep_is_signalled_by_the_figures_that_read_it(copies, records, writer):
    path = level_of(copies[0], studies(records, "model")["model"])
    spoil(path)
    name = path.relative_to(copies[0]).as_posix()
    found = make(*copies, LOOKED_AT, writer)
    assert {figure for figure, outcome in found.items() if outcome.status == "failed"} == {"18", "claims"}
    assert name in found["18"].message and name in found["claims"].message and found["18"].files
    assert "seeds not complete: 1" in (copies[1] / "CLAIMS.md").read_text()


def test_the_claims_are_drawn_without_a_theory_file_that_cannot_be_trusted(copies, writer):
    spoil(copies[0] / "theory/factorial-0000cafe.json")
    outcome = make(*copies, ["claims"], writer)["claims"]
    assert outcome.status == "failed" and "factorial-0000cafe" in outcome.message
    assert {"figures/figclaims.png", "claims.json", "CLAIMS.md"} <= set(outcome.files)
    three = next(c for c in json.loads((copies[1] / "claims.json").read_text())["claims"] if c["id"] == "3")
    assert three["verdict"] == "not run" and "factorial-0000cafe" in three["rows"][0]["note"]


def test_asking_for_the_claims_writes_tables_and_picture(drawn):
    assert (drawn / "CLAIMS.md").read_text().startswith("# Claims")
    for fmt in ("pdf", "png", "svg", "json"):
        assert (drawn / f"figures/figclaims.{fmt}").stat().st_size > 1000
    document = json.loads((drawn / "claims.json").read_text())
    assert document["inputs"] == json.loads((drawn / "figures/figclaims.json").read_text())["inputs"]


def test_without_results_the_tables_are_written_and_the_picture_is_left_out(tmp_path, writer):
    (tmp_path / "results").mkdir()
    outcome = make(tmp_path / "results", tmp_path / "out", ["claims"], writer)["claims"]
    assert outcome.status == "drawn" and set(outcome.files) == {"claims.json", "CLAIMS.md"}
    assert "paper_repro.py train --preset quick --sweep width" in outcome.commands
    assert outcome.message.startswith("no results for this figure: run ")


def test_the_claims_read_what_the_catalogue_says_and_nothing_else(records):
    spec = FIGURES["claims"]

    def kept(results):
        varied = spec.sweeps.get(results.study.swept, ("imp", "lrr"))
        arms = (*spec.arms, *spec.more) if results.study.swept is None else varied
        return replace(results, arms={arm: run for arm, run in results.arms.items() if arm in arms})

    less = replace(
        records,
        studies=tuple(map(kept, records.studies)),
        theory={name: records.theory[name] for name in spec.theory},
        sweeps=tuple(kept(r) for r in records.sweeps if r.study.swept in (*spec.sweeps, "base")),
    )

    def judged(records):
        found = (*evaluate(records), *evaluate(on_every_study(records, as_theirs)))
        return [(v.id, v.verdict, v.rows) for v in found]

    whole = judged(records)
    assert judged(less) == whole
    for arm in (*spec.arms, *spec.more):
        without = replace(records.studies[0], arms={a: r for a, r in records.studies[0].arms.items() if a != arm})
        assert judged(replace(records, studies=(without,))) != whole, arm


@pytest.mark.parametrize("name", OF_SWEEPS)
def test_inputs_problems_and_studies_are_of_the_arms_that_the_figure_reads(records, name):
    spec = FIGURES[name]
    paths = [item.path.split("/") for item in figure_inputs(spec, records) if item.path.startswith("runs/")]
    runs = {path[1].split("-digits")[0] for path in paths}
    arms = {*spec.arms, *spec.more, *(arm for read in spec.sweeps.values() for arm in read)}
    assert {run for run in runs if not run.startswith("dense")} <= arms
    assert figure_problems(spec, records) == []
    assert {arm for study in studies_used(spec, records).values() for arm in study["arms"]} <= arms


@pytest.mark.parametrize("name", OF_SWEEPS)
def test_a_study_file_that_cannot_be_trusted_may_have_been_a_value(records, name):
    lost = Problem("studies", "studies/x.json", "studies/x.json: broken")
    assert figure_problems(FIGURES[name], replace(records, problems=(lost,))) == [lost]
    assert figure_problems(FIGURES["basins"], replace(records, problems=(lost,))) == []


def test_a_folder_is_loaded_with_its_sweeps(folder):
    assert len(load(folder).sweeps) > 10


def test_a_sweep_that_a_figure_draws_where_it_stands_is_an_input_that_nobody_is_asked_to_run(records):
    spec = FIGURES["10"]
    sweep = next(v for v in find_sweeps(records, "width"))
    drawn = replace(spec, also={"width": ("imp", "lrr")})
    read = {source.path for source in figure_inputs(drawn, records)}
    assert {source.path for results in sweep.studies for source in results.files} <= read
    assert spec.also == {"warm-up": ("imp", "lrr")} and "warm-up" not in spec.sweeps
