"""Figures, claims and the report of one protocol: what they show, what they are called, what they say is missing."""

import json

import pytest

import paper_repro
from empirics.storage.files import write_atomic
from figures.catalogue import FIGURES, NoProtocol, figures_under
from figures.claims.registry import CLAIMS, ON_THEORY, evaluate
from figures.claims.tables import claims_markdown
from figures.claims.verdicts import NOT_RUN
from figures.comparison.overlay import compare_results
from figures.comparison.protocols import compare_protocols
from figures.plots.builder import NothingToDraw
from figures.plots.style import drawing_style
from figures.provenance.explain import UnknownPicture, explain, locate
from figures.provenance.sidecars import standing_figure
from figures.regenerate import regenerate
from figures.report.files import write_report
from figures.results.load import load
from figures.results.network import Records
from tests.figures import synthetic, synthetic_protocols, synthetic_sweeps

pytestmark = pytest.mark.slow

PROVENANCE = {"versions": {"python": "3.11"}, "git": {"commit": "c" * 40, "dirty": False}, "threads": 1}
AUTHORS, MARK, OPTION = "authors", "protocol authors", "--protocol authors"
SOME = ("3", "8", "claims")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of the neuron, of our protocol and of the authors'."""
    root = tmp_path_factory.mktemp("results")
    synthetic.theory(root)
    synthetic.study(root)
    synthetic_sweeps.study(root, "perturbation", {"prune_rate": 0.5}, 1.0)
    synthetic_protocols.everything(root)
    return root


def make(results, out, ids, protocol=AUTHORS):
    options = {"write": write_atomic, "provenance": PROVENANCE, "command": "make figures", "protocol": protocol}
    return regenerate(ids, results, out, **options)


@pytest.fixture(scope="module")
def drawn(results, tmp_path_factory):
    """The output folder of the authors' figures, and its outcomes."""
    out = tmp_path_factory.mktemp("out")
    return out, make(results, out, None)


def sidecar(out, name):
    return json.loads((out / f"figures/fig{name}-authors.json").read_text())


def test_figures_of_networks_are_drawn_and_their_names_and_captions_carry_the_protocol(drawn):
    out, outcomes = drawn
    made = [o.id for o in outcomes if o.status == "drawn"]
    assert [o.id for o in outcomes] == figures_under(AUTHORS) and {"2", "3", "5", "factorial", "claims"} <= set(made)
    for name in made:
        found = sidecar(out, name)
        assert MARK in found["caption_opening"] and found["protocol"] == AUTHORS and found["id"] == name
        assert set(found["outputs"]) == {f"fig{name}-authors.{fmt}" for fmt in ("pdf", "png", "svg")}
        assert {study["protocol"] for study in found["studies"].values()} <= {AUTHORS}, name
        assert OPTION in found["figure_command"] and all(OPTION in item["command"] for item in found["missing"])
        words = (out / f"figures/fig{name}-authors.svg").read_text()
        assert "protocol" in words and (out / f"figures/fig{name}-authors.png").stat().st_size > 1000, name
    files = {path.name for path in out.rglob("*.*")}
    assert all("-authors." in name for name in files)


def test_every_panel_of_a_study_says_whose_protocol_it_shows(results):
    with drawing_style():
        drawing = FIGURES["3"].draw(load(results, protocol=AUTHORS))
    assert drawing.figure.axes[0].get_title(loc="left") == "(a) digits (protocol authors)"


def test_a_figure_of_the_neuron_alone_is_not_drawn_again(results, tmp_path):
    assert {"1", "14", "15", "basins"}.isdisjoint(figures_under(AUTHORS)) and "2" in figures_under(AUTHORS)
    assert figures_under("ours") == list(FIGURES)
    with pytest.raises(NoProtocol, match="figure 1 shows the neuron alone, which has no protocol"):
        make(results, tmp_path, ["1"])


def test_our_pictures_and_verdicts_are_the_same_with_and_without_the_other_protocol(results, tmp_path):
    alone = tmp_path / "alone"
    synthetic.theory(alone)
    synthetic.study(alone)
    synthetic_sweeps.study(alone, "perturbation", {"prune_rate": 0.5}, 1.0)
    make(alone, tmp_path / "a", SOME, "ours")
    make(results, tmp_path / "b", SOME, "ours")
    shown = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*") if path.suffix != ".json"]
    assert len(shown) == 3 * len(SOME) + 1
    for path in shown:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path


def test_a_second_run_draws_nothing_again(drawn, results):
    assert {o.status for o in make(results, drawn[0], SOME)} == {"current"}


def test_the_claims_of_a_protocol_are_judged_on_its_studies_and_titled_with_it(drawn, results):
    out, _ = drawn
    table = (out / "CLAIMS-authors.md").read_text()
    assert table.startswith("# Claims and verdicts, protocol authors\n") and "quick-authors-digits" in table
    assert "Study quick-digits" not in table
    document = json.loads((out / "claims-authors.json").read_text())
    assert document["protocol"] == AUTHORS
    judged = {claim["id"] for claim in document["claims"]}
    assert judged == {number for number, claim in CLAIMS.items() if claim.kind != ON_THEORY}
    assert claims_markdown(evaluate(load(results))).startswith("# Claims and verdicts\n\nVerdict:")


def test_what_is_missing_is_named_with_the_commands_of_its_protocol():
    nothing = Records(protocol=AUTHORS)
    rows = [row for verdict in evaluate(nothing) for row in verdict.rows if row.unit != "probability"]
    assert rows and all(OPTION in row.command for row in rows if row.verdict == NOT_RUN)
    for name in figures_under(AUTHORS):
        try:
            with drawing_style():
                missing = FIGURES[name].draw(nothing).missing
        except NothingToDraw as error:
            missing = error.missing
        commands = [item.command for item in missing if " theory " not in item.command]
        assert all(OPTION in command for command in commands) and (commands or name == "factorial"), name


def test_a_figure_is_explained_by_its_name_with_the_protocol_or_by_its_file(drawn, results):
    out, _ = drawn
    by_name, by_file = explain("3", results, out, AUTHORS), explain("fig3-authors.png", results, out)
    assert "quick-authors-digits" in by_name and "(protocol authors)" in by_name and "unchanged" in by_name
    assert "The file is the one recorded" in by_file
    assert locate("claims", out, AUTHORS).name == "claims-authors.json"
    with pytest.raises(UnknownPicture, match="run `paper_repro.py figures 3`"):
        explain("3", results, out)
    with pytest.raises(UnknownPicture, match="run `paper_repro.py figures 11 --protocol authors`"):
        explain("11", results, out, AUTHORS)


def test_a_figure_is_verified_against_the_record_of_its_own_protocol(drawn):
    out, _ = drawn
    assert standing_figure("3", out / "figures", AUTHORS)["protocol"] == AUTHORS
    with pytest.raises(UnknownPicture, match="is of protocol authors, not ours: give --protocol authors"):
        standing_figure("3", out / "figures/fig3-authors.json")


def test_two_sets_of_results_are_compared_under_one_protocol(results, tmp_path):
    options = {"write": write_atomic, "provenance": PROVENANCE, "command": "c", "protocol": AUTHORS}
    (outcome,) = compare_results(["3"], results, results, tmp_path, **options)
    assert outcome.status == "drawn" and "compare/fig3-authors.json" in outcome.files
    found = json.loads((tmp_path / "compare/fig3-authors.json").read_text())
    assert list(found["studies"]) == ["quick-authors-digits"] == list(found["plotted"])


def test_the_report_of_a_protocol_shows_its_figures_alone(drawn):
    out, outcomes = drawn
    assert write_report(out, outcomes, write_atomic, AUTHORS)
    page = (out / "report-authors.html").read_text()
    assert "a reproduction, protocol authors" in page and 'id="fig3"' in page and 'id="fig1"' not in page
    assert "digits (protocol authors)" in page and "paper_repro.py figures 11 --protocol authors" in page
    assert not (out / "report.html").exists()


def test_the_table_and_the_figure_of_both_protocols_are_written_once(results, tmp_path):
    options = {"write": write_atomic, "provenance": PROVENANCE, "command": "paper_repro.py protocols"}
    first = compare_protocols(results, tmp_path, **options)
    assert first.status == "drawn" and first.files[-2:] == ("protocols.json", "PROTOCOLS.md")
    found = standing_figure("protocols", tmp_path / "figures", "every")
    assert set(found["studies"]) >= {"quick-digits", "quick-authors-digits", "quick-rewind_epoch-1-digits"}
    (rows,) = found["plotted"].values()
    assert rows[0]["ours"]["multiples"]["effect"] > 0 > rows[0]["authors"]["multiples"]["effect"]
    assert "5: rewind point" in found["caption"] and "n = 4 seeds (0 1 2 3)" in found["caption"]
    assert "Verdicts and the protocol" in explain("protocols.json", results, tmp_path)
    assert compare_protocols(results, tmp_path, **options).status == "current"


def test_without_the_authors_results_the_command_that_runs_them_is_named(tmp_path):
    synthetic.study(tmp_path / "results", seeds=(0,), levels=3)
    options = {"write": write_atomic, "provenance": PROVENANCE, "command": "c"}
    outcome = compare_protocols(tmp_path / "results", tmp_path / "out", **options)
    assert outcome.commands == ("paper_repro.py protocols",) and "run paper_repro.py protocols" in outcome.message
    assert (tmp_path / "out/PROTOCOLS.md").exists() and not (tmp_path / "out/figures").exists()


def test_the_commands_judge_and_compare_from_existing_results(results, tmp_path, capsys, monkeypatch):
    given = ["--results", str(results), "--out", str(tmp_path / "out")]
    assert paper_repro.main(["claims", "--protocol", AUTHORS, *given]) == 0
    assert "# Claims and verdicts, protocol authors" in capsys.readouterr().out
    monkeypatch.setattr("empirics.commands.protocol_plans", lambda command: [])
    assert paper_repro.main(["protocols", *given]) == 0
    assert "| rewind point |" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").glob("*.md")} == {"CLAIMS-authors.md", "PROTOCOLS.md"}
