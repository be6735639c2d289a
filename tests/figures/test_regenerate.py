import json
import os
import shutil
import sys

import pytest

from figures.catalogue import FIGURES
from figures.provenance.explain import UnknownPicture
from figures.regenerate import explain, regenerate
from tests import ROOT
from tests.support.processes import run

pytestmark = pytest.mark.slow

PROVENANCE = {
    "versions": {"python": "3.11"},
    "git": {"commit": "c" * 40, "dirty": True},
    "hardware": {"cpu": "a cpu", "cores": 2, "accelerator": None},
    "threads": 1,
}


def make(results, out, ids, writer, **more):
    return regenerate(ids, results, out, write=writer, provenance=PROVENANCE, command="make figures", **more)


@pytest.fixture(scope="module")
def first(folder, tmp_path_factory, writer):
    """(output folder, outcomes, log lines) of one whole run."""
    out, lines = tmp_path_factory.mktemp("out"), []
    return out, make(folder, out, None, writer, log=lines.append), lines


def spoiled(results, tmp_path, path, content=b"{"):
    copy = tmp_path / "results"
    if not copy.exists():
        shutil.copytree(results, copy)
    if content is None:
        shutil.rmtree(copy / path)
    else:
        (copy / path).write_bytes(content)
    return copy


def test_every_figure_and_the_claims_appear_with_their_sidecars(first):
    out, outcomes, lines = first
    assert [o.id for o in outcomes] == list(FIGURES) and {o.status for o in outcomes} == {"drawn"}
    for name in FIGURES:
        for fmt in ("pdf", "png", "svg", "json"):
            assert (out / f"figures/fig{name}.{fmt}").stat().st_size > 1000
    assert json.loads((out / "claims.json").read_text())["kind"] == "claims"
    assert (out / "CLAIMS.md").read_text().startswith("# Claims")
    assert len(lines) == len(outcomes) and lines[0].startswith("1: drawn")


def test_a_sidecar_names_runs_seeds_inputs_and_outputs_with_hashes(first, folder):
    import hashlib

    out, _, _ = first
    sidecar = json.loads((out / "figures/fig3.json").read_text())
    study = sidecar["studies"]["quick-digits"]
    assert study["arms"]["lrr"]["run"] == "lrr-digits-resnet20-0000cafe"
    assert study["arms"]["lrr"]["seeds"] == [0, 1, 2, 3] and study["arms"]["lrr"]["config"]["epochs"] == 16
    assert study["arms"]["lrr"]["provenance"][0]["threads"] == 1
    assert sidecar["provenance"] == PROVENANCE and sidecar["command"] == "make figures"
    for item in sidecar["inputs"][::11]:
        assert hashlib.sha256((folder / item["path"]).read_bytes()).hexdigest() == item["sha256"]
    for name, digest in sidecar["outputs"].items():
        assert hashlib.sha256((out / "figures" / name).read_bytes()).hexdigest() == digest
    assert any("cifar10" in item["command"] for item in sidecar["missing"])


def test_nothing_in_an_output_depends_on_when_or_where_it_was_made(first, folder, tmp_path, writer):
    make(folder, tmp_path, ["2"], writer)
    for fmt in ("pdf", "png", "svg"):
        assert (tmp_path / f"figures/fig2.{fmt}").read_bytes() == (first[0] / f"figures/fig2.{fmt}").read_bytes()


def test_a_second_run_is_quick_and_does_not_import_matplotlib(first, folder):
    script = (
        "import sys, time; from figures.regenerate import regenerate; start = time.process_time();"
        "made = regenerate(None, sys.argv[1], sys.argv[2], write=None, provenance={}, command='again');"
        "print(time.process_time() - start, 'matplotlib' in sys.modules, {o.status for o in made})"
    )
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = run([sys.executable, "-c", script, str(folder), str(first[0])], cwd=ROOT, env=here, check=True)
    seconds, loaded, status = found.stdout.split(maxsplit=2)
    assert (loaded, status.strip()) == ("False", "{'current'}")
    assert float(seconds) / len(FIGURES) < 1


def test_changed_inputs_or_outputs_are_drawn_again(first, folder, tmp_path, writer):
    out = tmp_path / "out"
    shutil.copytree(first[0], out)
    assert make(folder, out, ["3", "4"], writer)[0].status == "current"
    (out / "figures/fig3.png").write_bytes(b"torn")
    assert [o.status for o in make(folder, out, ["3", "4"], writer)] == ["drawn", "current"]
    path = "runs/imp-on-lrr-mask-digits-resnet20-0000cafe/seed-0/level-07/level.json"
    level = json.loads((folder / path).read_text()) | {"test_accuracy": 0.5}
    changed = spoiled(folder, tmp_path, path, json.dumps(level).encode())
    assert [o.status for o in make(changed, out, ["3", "4"], writer)] == ["drawn", "current"]


BAD = "runs/imp-on-lrr-mask-digits-resnet20-0000cafe/seed-1"


def test_a_corrupt_level_costs_one_seed_is_named_and_signalled(folder, tmp_path, writer):
    path, out, lines = f"{BAD}/level-07/level.json", tmp_path / "out", []
    made = make(spoiled(folder, tmp_path, path), out, ["3", "5", "claims"], writer, log=lines.append)
    found = {o.id: o for o in made}
    assert found["3"].status == "failed" and found["3"].message.count(f"{path}: the file") == 1 and path in lines[0]
    assert "older one" not in found["3"].message
    assert "figures/fig3.pdf" in found["3"].files and (out / "figures/fig3.pdf").exists()
    caption = json.loads((out / "figures/fig3.json").read_text())["caption"]
    assert caption.count("IMP on LRR mask seed 1 could not be trusted") == 1
    assert found["5"].status == "drawn"
    table = (out / "CLAIMS.md").read_text()
    assert found["claims"].status == "failed" and table.count(f"{path}: the file") == 1
    assert "seeds not complete: 1" in next(line for line in table.splitlines() if line.startswith("| **6**"))
    (again,) = make(tmp_path / "results", out, ["3"], None)
    assert again.status == "failed" and path in again.message and again.files, "nothing is drawn twice"


def test_a_corrupt_dense_level_costs_its_seed_in_every_arm(folder, tmp_path, writer):
    path = "runs/dense-digits-resnet20-0000cafe/seed-2/level-00/level.json"
    (outcome,) = make(spoiled(folder, tmp_path, path), tmp_path / "out", ["3"], writer)
    sidecar = json.loads((tmp_path / "out/figures/fig3.json").read_text())
    assert outcome.status == "failed" and "n = 3 seeds (0 1 3)" in sidecar["caption"]
    assert sidecar["caption"].count("dense seed 2 could not be trusted") == 1


def test_corrupt_sign_statistics_do_not_touch_the_figures_without_signs(folder, tmp_path, writer):
    path = "runs/lrr-digits-resnet20-0000cafe/seed-1/signs.json"
    found = {o.id: o for o in make(spoiled(folder, tmp_path, path), tmp_path / "out", ["3", "5"], writer)}
    assert found["3"].status == "drawn" and path not in found["3"].message
    assert found["5"].status == "failed" and path in found["5"].message and found["5"].files
    caption = json.loads((tmp_path / "out/figures/fig5.json").read_text())["caption"]
    assert "LRR seed 1 without sign statistics" in caption and "LRR: 0 2 3" in caption


def test_a_corrupt_theory_file_fails_its_figure_and_no_other(folder, tmp_path, writer):
    path = "theory/factorial-0000cafe.json"
    made = make(spoiled(folder, tmp_path, path), tmp_path / "out", ["factorial", "3"], writer)
    assert [o.status for o in made] == ["failed", "drawn"]
    assert path in made[0].message and not made[0].files


def test_theory_files_that_are_not_used_are_logged(folder, tmp_path, writer):
    copy, lines = tmp_path / "results", []
    shutil.copytree(folder, copy)
    data = json.loads((copy / "theory/factorial-0000cafe.json").read_text())
    data["params"]["trials"] = 10
    (copy / "theory/factorial-0000beef.json").write_text(json.dumps(data))
    make(copy, tmp_path / "out", ["claims"], writer, log=lines.append)
    assert "factorial-0000beef" in lines[0]


def test_trained_seeds_that_no_study_lists_are_logged(folder, tmp_path, writer):
    copy, lines = tmp_path / "results", []
    shutil.copytree(folder, copy)
    (copy / "studies/quick-digits.json").unlink()
    make(copy, tmp_path / "out", ["1"], writer, log=lines.append)
    assert "no study's record lists them" in lines[0] and " seeds 0 1 2 3" in lines[0] and " more: " in lines[0]


def test_a_figure_that_can_no_longer_be_drawn_says_that_the_old_one_still_stands(first, folder, tmp_path, writer):
    out = tmp_path / "out"
    shutil.copytree(first[0], out)
    (outcome,) = make(spoiled(folder, tmp_path, "studies", None), out, ["3"], writer)
    assert outcome.status == "missing" and "older one" in outcome.message


def test_missing_results_are_reported_with_their_command_and_the_others_appear(folder, tmp_path, writer):
    theory_only = spoiled(folder, tmp_path, "studies", None)
    found = {o.id: o for o in make(theory_only, tmp_path / "out", ["3", "factorial", "claims"], writer)}
    assert found["3"].status == "missing"
    assert "paper_repro.py train --preset cifar10 --data-dir DIR" in found["3"].commands
    assert found["factorial"].status == "drawn" and found["claims"].status == "drawn"


def test_an_unknown_figure_names_the_nearest(folder, tmp_path, writer):
    with pytest.raises(ValueError, match="did you mean 'factorial'"):
        make(folder, tmp_path, ["factoral"], writer)
    with pytest.raises(ValueError, match="did you mean '3'"):
        make(folder, tmp_path, ["fig3"], writer)


def test_a_failing_writer_is_not_hidden(folder, tmp_path):
    def full(path, data):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        make(folder, tmp_path, ["3"], full)


@pytest.mark.parametrize("name", ["fig3.pdf", "fig3.png", "fig3.svg", "fig3.json", "../claims.json"])
def test_explain_says_where_a_picture_came_from(first, name):
    text = explain(first[0] / "figures" / name)
    for word in ("make figures", "c" * 40, "uncommitted", "python 3.11", "a cpu", "runs/", "sha256"):
        assert word in text
    if "fig3" in name:
        assert "lrr-digits-resnet20-0000cafe, seeds [0, 1, 2, 3]" in text


def test_explain_warns_of_a_picture_that_was_changed(first, tmp_path):
    shutil.copytree(first[0] / "figures", tmp_path / "f")
    (tmp_path / "f/fig3.png").write_bytes(b"something else")
    assert "WARNING" in explain(tmp_path / "f/fig3.png") and "WARNING" not in explain(tmp_path / "f/fig3.pdf")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.txt", b"", "needs a .pdf"), ("none.png", None, "there is no file"), ("a.png", b"x", "no sidecar"),
     ("b.json", b"{", "not whole JSON"), ("c.json", b"[1]", "not a figure's sidecar")],
)  # fmt: skip
def test_explain_refuses_what_is_no_picture_of_ours(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownPicture, match=words):
        explain(tmp_path / name)


def test_the_package_imports_lightly_and_without_the_other_packages():
    script = (
        "import sys, figures; heavy = [m for m in ('numpy', 'scipy', 'matplotlib') if m in sys.modules];"
        "figures.CLAIMS; figures.FIGURES; figures.regenerate.regenerate;"
        "import figures.plots.neuron_phase_plane, figures.plots.accuracy, figures.plots.factorial;"
        "others = [m for m in ('torch', 'sympy', 'theory', 'empirics', 'matplotlib.pyplot') if m in sys.modules];"
        "print(heavy, others)"
    )
    found = run([sys.executable, "-c", script], cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert found.stdout.strip() == "[] []"


def test_no_source_of_figures_imports_torch_the_other_packages_or_pyplot():
    import ast

    for path in (ROOT / "figures").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"torch", "theory", "empirics"}, path
            assert "matplotlib.pyplot" not in names, path


@pytest.mark.parametrize(
    ("dirty", "said"), [(True, " with uncommitted"), (False, ""), (None, " perhaps with uncommitted")]
)
def test_where_git_was_told_not_to_look_the_code_may_have_changed(dirty, said):
    from figures.provenance.explain import made_by

    line = made_by({"provenance": {"git": {"commit": "c" * 40, "dirty": dirty}}})[1]
    assert line == f"Commit: {'c' * 40}{said + ' changes' if said else ''}"
    unknown = made_by({"provenance": {"git": {"commit": None, "dirty": None}}})[1]
    assert unknown == "Commit: unknown"


# ------------------------------------------------------------------------------------------------ best accuracies


@pytest.fixture(scope="module")
def with_metrics(folder, tmp_path_factory, synthetic):
    """The results with the metrics of every epoch."""
    copy = tmp_path_factory.mktemp("metrics") / "results"
    shutil.copytree(folder, copy)
    synthetic.metrics(copy)
    return copy


def test_the_best_accuracies_have_files_of_their_own_beside_those_of_the_last(with_metrics, tmp_path, writer):
    ids, lines = ["5", "claims", "3", "1"], []
    make(with_metrics, tmp_path, ids, writer)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    made = make(with_metrics, tmp_path, ids, writer, accuracy="best", log=lines.append)
    assert [(o.id, o.status) for o in made] == [("claims", "drawn"), ("3", "drawn")]
    assert lines[0] == "these show no accuracies and stay as they are: 5, 1"
    assert {path: path.read_bytes() for path in before} == before
    new = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} - {
        path.relative_to(tmp_path).as_posix() for path in before
    }
    pictures = {f"figures/fig{name}-best.{fmt}" for name in ("3", "claims") for fmt in ("pdf", "png", "svg", "json")}
    assert new == pictures | {"claims-best.json", "CLAIMS-best.md"} == {name for o in made for name in o.files}
    assert {o.status for o in make(with_metrics, tmp_path, ids, None, accuracy="best")} == {"current"}
    text = explain(tmp_path / "figures/fig3-best.png")
    assert "The file is the one recorded" in text and "selected on the test set" in text


def test_a_figure_of_the_best_accuracies_is_labelled_and_higher(with_metrics, first, tmp_path, writer):
    make(with_metrics, tmp_path, ["3"], writer, accuracy="best")
    usual, best = (json.loads((out / f"figures/fig3{end}.json").read_text())
                   for out, end in ((first[0], ""), (tmp_path, "-best")))  # fmt: skip
    assert (usual["accuracy"], best["accuracy"]) == ("last", "best")
    assert best["figure_command"] == "paper_repro.py figures 3 --accuracy best"
    assert "selected on the test set" in best["caption_opening"] and "last epoch" not in best["caption"]
    assert "last epoch" in usual["caption"] and "selected" not in usual["caption"]
    curves = [found["plotted"]["quick-digits"]["curves"]["lrr"]["mean"] for found in (usual, best)]
    assert [b - a for a, b in zip(*curves, strict=True)] == pytest.approx([0.01] * 8)
    assert any(item["path"].endswith("metrics.jsonl") for item in best["inputs"])


def test_without_metrics_the_best_accuracies_are_refused_with_the_file_and_what_to_do(folder, tmp_path, writer):
    made = make(folder, tmp_path, ["3", "claims"], writer, accuracy="best")
    assert {o.status for o in made} == {"failed"}
    for outcome in made:
        assert "metrics.jsonl" in outcome.message
    assert not (tmp_path / "figures/fig3-best.json").exists()


def test_figures_of_accuracies_are_those_that_plot_them():
    without = {name for name, spec in FIGURES.items() if not spec.has_accuracy}
    of_neurons = {name for name, spec in FIGURES.items() if not (spec.arms or spec.sweeps)}
    assert without == of_neurons | {"5", "12", "13", "mask-convergence", "connectivity"}
