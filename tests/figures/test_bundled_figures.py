"""Figures of bundled records are explained, verified and compared, and name their files alike on every machine."""

import json

import pytest

import paper_repro
from empirics.storage.files import write_atomic
from figures.comparison.overlay import compare_results
from figures.provenance.explain import explain
from figures.regenerate import regenerate
from figures.results import bundled
from tests.figures import synthetic_planned as planned

pytestmark = pytest.mark.slow

FOLDER = f"figures/reference/{planned.DATASET}"
MADE = {"write": write_atomic, "provenance": {"threads": 1}, "command": "paper_repro.py figures 3"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Figure 3 and the claims from bundled records alone: a results folder without results, and the output."""
    root = tmp_path_factory.mktemp("bundled")
    planned.study(root / "reference" / planned.DATASET)
    (root / "results").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundled, "BUNDLED", root / "reference")
        outcomes = regenerate(["3", "claims"], root / "results", root / "out", bundled=True, **MADE)
    assert [outcome.status for outcome in outcomes] == ["drawn", "drawn"]
    return root


@pytest.fixture(autouse=True)
def _bundled(drawn, monkeypatch):
    monkeypatch.setattr(bundled, "BUNDLED", drawn / "reference")


def test_sidecars_and_tables_hold_no_path_of_this_machine(drawn):
    files = [path for path in sorted(drawn.rglob("out/**/*")) if path.suffix in (".json", ".md")]
    assert len(files) == 4
    for file in files:
        assert str(drawn) not in file.read_text()
    inputs = json.loads((drawn / "out/figures/fig3.json").read_text())["inputs"]
    assert inputs and all(item["path"].startswith(f"{FOLDER}/") for item in inputs)


def test_a_figure_is_explained_with_the_records_that_it_was_read_from(drawn):
    text = explain("3", drawn / "results", drawn / "out")
    assert f"read from records in {FOLDER}" in text and f"inputs are unchanged in {drawn / 'results'}" in text


def test_a_record_that_has_changed_since_is_said(drawn):
    file = next((drawn / "reference").glob("*/runs/lrr-cifar*/seed-0.json.gz"))
    content = file.read_bytes()
    try:
        file.write_bytes(content + b"\0")
        assert "changed  figures/reference/cifar10-jpeg/runs/lrr-" in explain("3", drawn / "results", drawn / "out")
    finally:
        file.write_bytes(content)


def test_a_sidecar_cannot_have_files_outside_the_reference_read(drawn, tmp_path):
    sidecar = json.loads((drawn / "out/figures/fig3.json").read_text())
    sidecar["inputs"] = [{"path": "figures/reference/../results/x", "sha256": "0" * 64}]
    (tmp_path / "fig3.json").write_text(json.dumps(sidecar))
    assert "outside" in explain(tmp_path / "fig3.json", drawn / "results")


def test_verify_says_that_records_are_read_and_not_recomputed(drawn, capsys):
    assert paper_repro.main(["verify", "3", "--reference", str(drawn / "out/figures")]) == 0
    said = capsys.readouterr().out
    assert f"read from records in {FOLDER}, not recomputed: {planned.STUDY}" in said and "reproduced" in said
    assert paper_repro.main(["verify", "3", "--reference", str(drawn / "out/figures"), "--dry-run"]) == 0
    assert "no network to train" in capsys.readouterr().out


def test_records_of_figures_are_compared_with_the_bundled_studies_that_they_show(drawn, tmp_path):
    (outcome,) = compare_results(["3"], drawn / "results", drawn / "out/figures", tmp_path, **MADE)
    assert outcome.status == "drawn" and "0 differ" in outcome.message and "further entr" not in outcome.message


def test_bundled_studies_can_be_left_out(drawn, tmp_path, capsys):
    given = ["--results", str(drawn / "results"), "--out", str(tmp_path)]
    assert paper_repro.main(["claims", "--results-alone", *given]) == 0
    assert planned.STUDY not in capsys.readouterr().out
    assert paper_repro.main(["claims", *given]) == 0
    assert f"Study {planned.STUDY}" in capsys.readouterr().out


def test_nothing_that_changed_is_drawn_again(drawn):
    (outcome,) = regenerate(["3"], drawn / "results", drawn / "out", bundled=True, **MADE)
    assert outcome.status == "current"
