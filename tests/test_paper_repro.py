"""The command line, used as a person would."""

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

import paper_repro
from empirics.cli import COMMANDS, Claims
from tests import ROOT
from tests.support.processes import CompletedProcess, finish, run, start
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, str(ROOT / "paper_repro.py")]
LONG_TARGETS = ("figures-full", "protocols")
TINY = ["--model", "resnet8", "--width", "4", "--levels", "3", "--epochs", "2", "--seeds", "0"]


def call(*arguments: str, cwd: Path) -> CompletedProcess:
    return run([*COMMAND, *arguments], cwd=cwd)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command, tmp_path):
    done = call(*([command] if command else []), "--help", cwd=tmp_path)
    assert done.returncode == 0 and "usage: paper_repro.py" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["figures", "--preset", "quik"], "did you mean 'quick'"),
        (["figures", "factorail"], "did you mean 'factorial'"),
        (["trian"], "unknown command or figure 'trian': did you mean 'train'"),
        (["train", "--arms", "imp-on-lr-mask"], "did you mean 'imp-on-lrr-mask'"),
        (["train", "--criterion", "magnitud"], "did you mean 'magnitude'"),
        (["train", "--model", "resnet-20"], "did you mean 'resnet20'"),
        (["train", "--schedule", "cosin"], "did you mean 'cosine'"),
        (["train", "--schedule", "../../escape"], "unknown schedule"),
        (["theory", "quadrants", "storys"], "did you mean 'stories'"),
        (["train", "--prune-rate", "20"], "20 % is written 0.2"),
        (["train", "--levels", "40"], "would keep none of the network's 67848 weights"),
        (["train", "--arms", "imp-on-random-mask", "--levels", "14"], "leave one empty"),
        (["train", "--preset", "cifar10"], "paper_repro.py data download cifar10"),
        (["train", "--preset", "tiny-imagenet"], "wnids.txt"),
        (["train", "--data-dir", "nowhere"], "give them a name with --dataset-name"),
        (
            ["train", "--data-dir", "nowhere", "--dataset-name", "mine"],
            "data folder 'nowhere' does not exist: expected DIR/train/CLASS/IMAGE",
        ),
        (["train", "--data-dir", ".", "--dataset-name", "cifar10"], "cannot name a folder of images"),
        (["train", "--sweep", "widht"], "did you mean 'width'"),
        (["train", "--arms", "imp-perturbed", "--perturb-level", "9"], "perturb_level must be 0"),
        (["train", "--pruning", "oneshot"], "did you mean 'one-shot'"),
        (["train", "--precision", "float16"], "did you mean 'bfloat16'"),
        (["train", "--validation-per-class", "200"], "validation_per_class 200 together need more"),
        (["data", "download", "cifar11"], "did you mean 'cifar10'"),
        (["data", "get", "cifar10"], "write `paper_repro.py data download cifar10`"),
        (["data", "fetch", "cifar10"], "write `paper_repro.py data download cifar10`"),
        (["train", "--vary", "width"], "--vary is called --sweep now: write --sweep"),
        (["train", "--everything"], "--everything is called --all now"),
        (["train", "--data_label=mine"], "--data-label is called --dataset-name now: write --dataset-name=mine"),
        (["verify", "1", "--against", "x"], "--against is called --reference now"),
        (["verify", "1", "--into", "x"], "--into is called --output-dir now"),
        (["train", "--batch-size", "2000"], "batch_size 2000 exceeds the 1297 training images"),
        (["train", "--seeds", "-1"], "seed"),
        (["train", "--workers", "0"], "workers"),
        (["train", "--device", "cuda"], "device 'cuda'"),
        (["theory", "quadrant"], "did you mean 'quadrants'"),
        (["explain", "nothing.pdf"], "nothing.pdf"),
        (["explain", "3"], "run `paper_repro.py figures 3`"),
        (["explain", "3", "--protocol", "authors"], "run `paper_repro.py figures 3 --protocol authors`"),
        (["verify", "3", "--protocol", "authors"], "fig3-authors.json does not exist"),
        (["figures", "1", "--protocol", "authors"], "figure 1 shows the neuron alone, which has no protocol"),
        (["protocols", "--protocol", "authors"], "compares the two protocols: leave out --protocol"),
        (["verify", "factorail"], "did you mean 'factorial'"),
        (["verify", "3"], "figure 3 has not been made"),
        (["figures", "--compare", "nowhere"], "does not exist"),
        (["figures", "--compare", "nowhere", "--accuracy", "best"], "leave out --accuracy best, or --compare"),
        (["claims", "--accuracy", "first"], "best"),
        (["table1", "--format", "pdf"], "latex"),
    ],
)
def test_bad_input_is_refused_with_what_to_do_and_trains_nothing(arguments, message, tmp_path):
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.json")), "nothing is written for a refused command"


@pytest.mark.parametrize("option", ["--out", "--results"])
def test_a_folder_that_cannot_be_written_is_refused_before_training(option, tmp_path):
    (tmp_path / "file").write_text("")
    done = call("figures", option, "file/inside", cwd=tmp_path)
    assert done.returncode == 2 and "cannot write to folder" in done.stderr
    assert not list(tmp_path.rglob("*.json"))


def test_every_registry_is_listed(tmp_path):
    done = call("list", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("quick", "imp-on-lrr-mask", "digits", "resnet20", "magnitude", "erk", "sign", "cosine", "theorem-2.1",
                 "imagenet", "vgg16", "synflow", "sign-transfer", "prune-rate"):  # fmt: skip
        assert re.search(rf"^  {re.escape(name)}\b", done.stdout, re.MULTILINE), name


def forecast_and_truth(folder: Path) -> tuple[float, float, float, float]:
    """Seconds that a dry run says a study takes, and that it takes; bytes likewise."""
    arguments = ["--arms", "lrr", "--levels", "3", "--epochs", "4", "--seeds", "0", "--workers", "1"]
    folder.mkdir()
    dry = run([*COMMAND, "train", *arguments, "--dry-run"], cwd=folder, check=True)
    assert not list(folder.iterdir())
    found = re.search(r"about ([\d.]+) (second|minute)s on 1 workers .*images/s\), (\d+) MB of disk", dry.stdout)
    assert found, dry.stdout
    run([*COMMAND, "train", *arguments], cwd=folder, check=True)
    records = [json.loads(path.read_text()) for path in folder.rglob("level.json")]
    assert len(records) == 3
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    said = float(found[1]) * {"second": 1, "minute": 60}[found[2]]
    return said, sum(record["seconds"] for record in records), float(found[3]) * 1e6, size


def test_a_dry_run_estimates_digits_within_a_factor_of_two_and_writes_nothing(tmp_path):
    """Of three tries one counts: other programs may come or go between a forecast and its run."""
    for attempt in range(3):
        said, took, room, size = forecast_and_truth(tmp_path / str(attempt))
        assert 0.5 < room / size < 2
        if 0.5 < said / took < 2:
            return
    raise AssertionError(f"{said:.0f} seconds were forecast, {took:.0f} it took")


LONG = ["train", "--arms", "lrr", *TINY[:-4], "--epochs", "40", "--images-per-class", "50", "--seeds", "0"]
LONG += ["--workers", "1"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A folder in which nothing stopped the long run."""
    folder = tmp_path_factory.mktemp("straight")
    assert call(*LONG, cwd=folder).returncode == 0
    return folder


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_stops_cleanly_and_the_same_command_goes_on_to_the_same_result(sent, code, straight, tmp_path):
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    process = start([*COMMAND, *LONG], cwd=stopped)
    lines = lambda: [path.read_bytes().count(b"\n") for path in stopped.glob("results/runs/lrr-*/*/metrics.jsonl")]  # noqa: E731
    wait_for(lambda: sum(lines()) > 3 or process.poll() is not None, "four epochs")
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # what a terminal sends: every process of the group gets it
    else:
        process.send_signal(sent)
    _, stderr = finish(process)
    assert process.returncode == code and "the same command resumes there" in stderr and "Traceback" not in stderr
    assert not list(stopped.rglob("signs.json")), "it was stopped before the end"
    (seed,) = stopped.glob("results/runs/lrr-*/seed-0")
    whole = {int(path.parent.name[6:]) for path in seed.glob("level-*/level.json")}
    lines = map(json.loads, (seed / "metrics.jsonl").read_text().splitlines())
    within = [line for line in lines if line["level"] not in whole]
    assert list(seed.glob("checkpoints/*.safetensors")) or not within, "within a level the last epoch is on the disk"
    assert call(*LONG, cwd=stopped).returncode == 0
    tensors = lambda folder: {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.safetensors")}  # noqa: E731
    assert tensors(straight) == tensors(stopped)
    epochs = [
        (line["level"], line["epoch"])
        for path in stopped.rglob("runs/lrr-*/seed-0/metrics.jsonl")
        for line in map(json.loads, path.read_text().splitlines())
    ]
    assert epochs == [(level, epoch) for level in (1, 2) for epoch in range(40)], "no line twice, none missing"


def test_progress_off_a_terminal_is_one_line_a_level(tmp_path):
    done = call("train", "--arms", "lrr", *TINY, cwd=tmp_path)
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if "test accuracy" in line]
    assert len(lines) == 3 and re.search(r"lrr-digits-resnet8-\w{8} \(seed 0\) level 2", lines[-1])
    again = call("train", "--arms", "lrr", *TINY, cwd=tmp_path)
    assert again.returncode == 0 and again.stderr == "", "nothing left to train"


def test_a_sweep_trains_a_study_for_each_of_its_values(tmp_path):
    arguments = ["--sweep", "densities", "--arms", "imp-on-random-mask", *TINY]
    dry = call("train", *arguments, "--dry-run", cwd=tmp_path)
    runs = [line for line in dry.stdout.splitlines() if line.startswith("study quick-")]
    assert dry.returncode == 0 and [line.split()[2] for line in runs] == ["2", "1", "1"], "the dense run once"
    assert call("train", *arguments, cwd=tmp_path).returncode == 0
    studies = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("results/studies/*.json"))]
    found = {study["overrides"].get("densities"): study["swept"] for study in studies}
    assert found == {"balanced": "densities", "uniform": "densities", None: "base"}, "erk is the preset's own"
    assert len({study["arms"]["imp-on-random-mask"] for study in studies}) == 3
    assert len({study["dense_run"] for study in studies}) == 1, "level 0 is trained once"
    assert all(study["base"] == "quick" and study["shared_overrides"]["model"] == "resnet8" for study in studies)
    assert all(("--sweep densities" in study["command"]) == bool(study["swept"]) for study in studies)


def test_connectivity_is_forecast_and_measured_by_train_all_and_drawn_from_its_file(tmp_path, monkeypatch, capsys):
    from figures.regenerate import regenerate

    monkeypatch.setattr("empirics.cli.SWEEPS", {})
    results = tmp_path / "results"
    tiny = ["--model", "resnet8", "--width", "4", "--levels", "2", "--epochs", "1", "--warmup-epochs", "0"]
    line = ["train", "--arms", "imp", "lrr", "--seeds", "0", "1", *tiny, "--workers", "1", "--results", str(results)]
    assert paper_repro.main([*line, "--all", "--dry-run"]) == 0
    assert re.search(
        r"^connectivity of quick-.*-digits: 9 pairs of networks to measure$", capsys.readouterr().out, re.M
    )
    assert paper_repro.main([*line, "--dry-run"]) == 0 and "connectivity" not in capsys.readouterr().out
    assert paper_repro.main(line) == 0 and not (results / "connectivity").exists()
    assert paper_repro.main([*line, "--all"]) == 0
    assert ": 9 pairs of networks measured, " in capsys.readouterr().err
    (file,) = (results / "connectivity").glob("*.json")
    assert len(json.loads(file.read_text())["pairs"]) == 9
    assert paper_repro.main([*line, "--all"]) == 0 and "connectivity" not in capsys.readouterr().err
    write = lambda path, data: (path.parent.mkdir(exist_ok=True, parents=True), path.write_bytes(data))  # noqa: E731
    (made,) = regenerate(["connectivity"], results, tmp_path / "out", write=write, provenance={}, command="")
    assert made.status == "drawn" and made.commands == ()


def test_only_a_figure_that_reads_connectivity_has_it_measured(monkeypatch):
    from empirics import commands
    from figures.catalogue import FIGURES

    monkeypatch.setattr(commands, "measure_connectivity", lambda wanted, command: 3)
    monkeypatch.setattr(commands, "connectivity_forecast", lambda wanted, command: "to measure")
    monkeypatch.setattr(commands, "forecasts", lambda wanted, command: "to train")
    for names, count, said in ((["3", "connectivity"], 3, "to train\nto measure"), (["3", "claims"], 0, "to train")):
        specs = [FIGURES[name] for name in names]
        assert commands.measure_for(specs, [], None) == count
        assert commands.figures_forecast(specs, [], None) == said


def test_a_forecast_needs_no_data(tmp_path):
    done = call("train", "--preset", "cifar10", "--arms", "lrr", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0 and "study cifar10-cifar10: 8 runs" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder in which `figures 1` has been run."""
    folder = tmp_path_factory.mktemp("drawn")
    done = call("figures", "1", cwd=folder)
    assert done.returncode == 0 and "report: out/report.html" in done.stderr, done.stderr
    return folder


def test_figures_leave_table_1_and_a_report_that_is_not_written_twice(drawn):
    for name in ("table1.md", "table1.tex", "table1.json", "report.html", "figures/fig1.svg"):
        assert (drawn / "out" / name).stat().st_size > 500, name
    page = (drawn / "out/report.html").read_text()
    assert 'id="fig1"' in page and "paper_repro.py figures 2" in page and "code: open_lth" in page
    again = call("figures", "1", cwd=drawn)
    assert again.returncode == 0 and "report" not in again.stderr and "1: current" in again.stderr
    assert json.loads(call("table1", "--format", "json", cwd=drawn).stdout) == json.loads(
        (drawn / "out/table1.json").read_text()
    )


def test_a_figure_of_the_neuron_is_verified_and_a_changed_number_is_found(drawn, tmp_path):
    done = call("verify", "1", cwd=drawn)
    assert done.returncode == 0 and "numbers compared" in done.stdout and done.stdout.endswith("reproduced\n")
    document = json.loads((drawn / "out/figures/fig1.json").read_text())
    document["plotted"]["story imp"]["final_loss"] += 1e-6
    (tmp_path / "fig1.json").write_text(json.dumps(document))
    done = call("verify", "1", "--reference", str(tmp_path), cwd=drawn)
    assert done.returncode == 1 and "differs: story imp.final_loss: " in done.stdout
    assert "NOT reproduced: it differs in 1 place\n" in done.stdout
    assert sorted(path.name for path in drawn.iterdir()) == ["out", "results"], "nothing is left of what was made again"


def test_a_figure_of_networks_is_made_again_bit_for_bit(tmp_path):
    arguments = ["--arms", "imp", "lrr", *TINY, "--workers", "1"]
    assert call("train", *arguments, cwd=tmp_path).returncode == 0
    line = "paper_repro.py figures 5"
    shown = Claims(results=tmp_path / "results", out=tmp_path / "out")
    (outcome,) = paper_repro.draw(["5"], shown, line)
    assert outcome.status == "drawn"
    done = call("verify", "5", "--output-dir", "again", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0 and "networks must agree exactly" in done.stdout, done.stdout + done.stderr
    assert list(tmp_path.glob("again/results/runs/lrr-*/seed-0/signs.json")), "trained again, elsewhere"
    sidecar = tmp_path / "out/figures/fig5.json"
    document = json.loads(sidecar.read_text())
    (study,) = document["plotted"].values()
    document["plotted"] = {"elsewhere": study}
    sidecar.write_text(json.dumps(document))
    done = call("verify", "5", "--output-dir", "again", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 1 and "are not run again" in done.stderr and "elsewhere" in done.stdout


def test_two_sets_of_results_are_compared_and_nothing_is_run(drawn, tmp_path):
    shutil.copytree(drawn / "results", tmp_path / "theirs")
    done = call("figures", "1", "3", "--results", str(drawn / "results"), "--compare", "theirs", cwd=tmp_path)
    assert done.returncode == 0 and "theory:" not in done.stderr and "3: missing" in done.stderr
    made = sorted(path.name for path in (tmp_path / "out").rglob("[!.]*") if path.is_file())
    assert made == ["fig1.json", "fig1.pdf", "fig1.png", "fig1.svg"] and (tmp_path / "out/compare/fig1.json").exists()
    assert "results and theirs" in call("explain", "out/compare/fig1.pdf", cwd=tmp_path).stdout


def test_a_figure_is_explained_by_its_id(drawn):
    done = call("explain", "1", cwd=drawn)
    assert done.returncode == 0 and "inputs are unchanged in results" in done.stdout and "Theory stories" in done.stdout


def test_the_long_version_of_the_figures_has_eight_seeds():
    recipe = re.search(r"^figures-full:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    commands = [line.partition("paper_repro.py ")[2] for line in recipe.splitlines()]
    seeds = "--seeds 0 1 2 3 4 5 6 7"
    assert commands[:2] == [f"train --sweep signs {seeds}", f"figures {seeds}"]


def test_the_long_version_of_the_figures_compares_the_protocols_as_their_own_target_does():
    makefile = (ROOT / "Makefile").read_text()
    recipes = [re.search(rf"^{name}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1] for name in LONG_TARGETS]
    assert [recipe.splitlines()[-1] for recipe in recipes] == ["\t$(PY) paper_repro.py protocols"] * 2


def test_claims_that_stand_are_judged_again_with_any_figure_since_the_report_shows_both(tmp_path):
    from figures.regenerate import with_claims

    drawn = lambda *ids: with_claims(ids, tmp_path)  # noqa: E731
    assert drawn("14") == ["14"] and drawn() is None
    (tmp_path / "claims.json").write_text("{}")
    assert drawn("14") == ["14", "claims"] and drawn("claims") == ["claims"] and drawn() is None
    assert with_claims(["14"], tmp_path, "authors") == ["14"], "those of the other protocol do not stand"


def test_a_figure_of_a_sweep_on_a_small_network_trains_that_network_alone():
    from empirics.cli import Figures
    from empirics.commands import figure_plans
    from figures.catalogue import FIGURES

    def models(name, preset):
        plans = figure_plans(Figures(preset=preset, dry_run=True), [FIGURES[name]], False)
        return {config.model for plan in plans for config in plan.configs.values()}

    assert models("6", "quick") == {"resnet8"} and models("9", "quick") == {"resnet20"}
    assert models("6", "cifar10") == {"resnet20"}
    assert models("claims", "quick") == {"resnet20", "resnet8", "vgg11"}


def test_without_a_data_folder_figures_show_what_they_can_and_say_what_is_missing(tmp_path):
    done = call("figures", "8", "3", "--preset", "cifar10", cwd=tmp_path)
    assert done.returncode == 0 and "no network is trained: data folder 'data' does not exist" in done.stderr
    assert (tmp_path / "out/figures/fig8.pdf").exists() and "3: missing" in done.stderr
    assert call("figures", "8", "--preset", "cifar10", "--data-dir", "elsewhere", cwd=tmp_path).returncode == 2
    (tmp_path / "data").mkdir()
    refused = call("figures", "8", "--preset", "cifar10", cwd=tmp_path)
    assert refused.returncode == 2 and "does not hold" in refused.stderr, "a folder that lacks the data is a mistake"


def test_a_figure_of_a_sweep_is_verified_although_it_reads_no_arm_of_the_presets_own_study(tmp_path):
    shutil.copytree(ROOT / "figures/reference/quick", tmp_path / "out/figures")
    done = call("verify", "width", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0 and "study quick-" in done.stdout, done.stderr


def test_the_best_accuracies_are_drawn_without_training_and_verified_as_such(tmp_path):
    arms = ("imp", "lrr", "imp-on-lrr-mask")
    assert call("train", "--arms", *arms, *TINY, cwd=tmp_path).returncode == 0
    before = {path for path in (tmp_path / "results").rglob("*") if path.is_file()}
    done = call("figures", "3", "5", "--accuracy", "best", cwd=tmp_path)
    assert done.returncode == 0 and "stay as they are: 5" in done.stderr, done.stderr
    assert {path for path in (tmp_path / "results").rglob("*") if path.is_file()} == before, "nothing is run"
    assert {path.name for path in (tmp_path / "out").glob("*.html")} == {"report-best.html"}
    assert {path.stem for path in (tmp_path / "out/figures").glob("fig*")} == {"fig3-best"}
    assert "selected on the test set" in (tmp_path / "out/report-best.html").read_text()
    judged = call("claims", "--accuracy", "best", cwd=tmp_path)
    assert judged.returncode == 0 and "selected on the test set" in judged.stdout
    assert {path.name for path in (tmp_path / "out").glob("*laims*")} == {"claims-best.json"}
    again = call("verify", "3", "--reference", "out/figures/fig3-best.json", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
