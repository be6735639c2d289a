"""An entry of each kind, registered from outside, is listed, run, drawn and judged like those of the packages."""

import json
import os
from dataclasses import replace
from functools import partial

import pytest

import figures
import paper_repro
import theory
from empirics import commands
from figures.analysis.sweeps import SWEEP_ENTRIES, find_sweeps
from figures.catalogue import FIGURES
from figures.claims.registry import CLAIMS
from figures.results.load import load
from figures.results.network import Records
from tests.figures import claim_records
from tests.support import toys
from theory.experiments.parallel import timed, worth_a_process

REGISTRIES = [theory.THEOREMS, theory.PLANES, theory.EXPERIMENTS, FIGURES, CLAIMS, SWEEP_ENTRIES]


@pytest.fixture(autouse=True)
def registries_restored():
    """Whatever a test registers is gone after it, and the order of the entries is as before."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run paper_repro.py in this process, in a folder of its own: its exit code, and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = paper_repro.main(arguments)
        printed = capfd.readouterr()
        return code, printed.out + printed.err

    return run


def listed(command, name, about):
    code, text = command("list")
    return code == 0 and any(line.split() == [name, *about.split()] for line in text.splitlines())


# --- theory -----------------------------------------------------------------------------------------------------------


def test_a_theorem(command):
    theory.register("theorem", "toy-theorem", toys.theorem("toy-theorem"))
    assert listed(command, "toy-theorem", "2 + 2 = 4") and theory.check("toy-theorem").holds
    for name in set(theory.THEOREMS) - {"toy-theorem"}:
        del theory.THEOREMS[name]
    code, table = command("theory", "--check")
    assert code == 0 and table.splitlines()[1].split()[:2] == ["toy-theorem", "yes"]
    theory.register("theorem", "toy-falsehood", toys.theorem("toy-falsehood", 5))
    code, table = command("theory", "--check")
    assert code == 1 and table.splitlines()[2].split()[:2] == ["toy-falsehood", "NO"]


def test_a_phase_plane():
    theory.register("phase plane", "toy-plane", toys.plane)
    found = theory.phase_plane("toy-plane", grid=5, scale=2.0)
    assert found.x[-1] == 4.0 and figures.phase_portrait(found).axes
    with pytest.raises(ValueError, match="unknown parameter of the plane 'toy-plane' 'scales': did you mean 'scale'"):
        theory.phase_plane("toy-plane", scales=2.0)


def test_an_experiment(command):
    theory.register("experiment", "toy-experiment", toys.experiment("toy-experiment"))
    assert listed(command, "toy-experiment", "a toy experiment")
    assert command("theory", "toy-experiment")[0] == 0
    found = load("results").theory["toy-experiment"]
    assert found.values["successes"] == 7 and found.command == "paper_repro.py theory toy-experiment"


def processes_of(names):
    """The process in which each of some toy experiments ran."""
    found, runs = {}, {name: partial(timed, theory.EXPERIMENTS[name]) for name in names}

    def on_result(name, result, seconds):
        found[name] = result.values["process"]

    commands.run_experiments(runs, worth_a_process(names, 2), 2, on_result)
    return found


@pytest.mark.slow
def test_slow_experiments_reach_other_processes_if_those_can_import_them(caplog):
    for name in ("toy-a", "toy-b"):
        theory.register("experiment", name, toys.experiment(name, slow=True))
    apart = processes_of(["toy-a", "toy-b"])
    assert set(apart) == {"toy-a", "toy-b"} and os.getpid() not in apart.values() and not caplog.records
    local = toys.experiment("toy-local", slow=True, function=lambda trials: toys.run(trials))
    theory.register("experiment", "toy-local", local)
    found = processes_of(["toy-local", "toy-a", "toy-b"])
    assert found["toy-local"] == os.getpid() not in {found["toy-a"], found["toy-b"]}
    assert "'toy-local' runs in this process" in caplog.text and "toy-a" not in caplog.text


# --- figures ----------------------------------------------------------------------------------------------------------


def test_a_figure(command):
    theory.register("experiment", "toy-experiment", toys.experiment("toy-experiment"))
    figures.register("figure", "toy-figure", toys.figure("toy-figure"))
    assert listed(command, "toy-figure", "A toy figure")
    code, text = command("figures", "toy-figure")
    assert code == 0 and "toy-figure: drawn" in text
    sidecar = json.loads(open("out/figures/figtoy-figure.json").read())
    assert sidecar["plotted"] == {"successes": 7} and sidecar["theory"]["toy-experiment"]["params"] == {"trials": 7}
    assert "toy-figure: current" in command("figures", "toy-figure")[1]
    assert "A toy figure" in open("out/report.html").read()


@pytest.mark.slow
def test_a_claim(command):
    theory.register("experiment", "toy-experiment", toys.experiment("toy-experiment"))
    figures.register("claim", "toys", toys.claim())
    assert listed(command, "toys", "Toys succeed")
    assert "toy-experiment" in FIGURES["claims"].theory, "the figure of the claims reads what the claim reads"
    os.mkdir("results")
    code, table = command("claims")
    assert code == 0 and "| **toys** Toys succeed | ours | **not run** |" in table
    command("theory", "toy-experiment")
    code, table = command("claims")
    assert code == 0 and "| **toys** Toys succeed | ours | **reproduced** |" in table
    (verdict,) = [claim for claim in json.loads(open("out/claims.json").read())["claims"] if claim["id"] == "toys"]
    assert verdict["verdict"] == "reproduced" and verdict["rows"][0]["effect"] == 1.0
    assert "Toys succeed" in open("out/figures/figclaims.json").read()


def test_a_sweep():
    def found():
        width = [value for value in claim_records.swept("width") if value.study.swept == "width"]
        named = [replace(value, study=replace(value.study, swept="toy-sweep")) for value in width]
        return find_sweeps(Records(sweeps=tuple(named)), "toy-sweep")[0].x

    assert found() == (4, 16), "what the studies vary"
    figures.register("sweep", "toy-sweep", figures.SweepEntry(by_study=True))
    assert found() == ("quick-width-16-digits", "quick-width-4-digits")


# --- what is refused --------------------------------------------------------------------------------------------------

THEOREM, EXPERIMENT, FIGURE, CLAIM = toys.theorem("toy"), toys.experiment("toy"), toys.figure("toy"), toys.claim()


@pytest.mark.parametrize(
    ("register", "kind", "name", "entry", "says"),
    [
        (theory.register, "theorems", "toy", THEOREM, "unknown kind of entry 'theorems': did you mean 'theorem'"),
        (
            theory.register,
            "theorem",
            "theorem-2.1",
            THEOREM,
            "there is a theorem 'theorem-2.1' already: choose another",
        ),
        (
            theory.register,
            "theorem",
            "A Toy",
            THEOREM,
            "must be lower-case words joined by hyphens, got 'A Toy': rename",
        ),
        (theory.register, "theorem", "toy", EXPERIMENT, "must be a theory.Theorem, got Experiment: make one"),
        (theory.register, "theorem", "toy-2", THEOREM, "has the name 'toy': give both the same name"),
        (theory.register, "experiment", "toy", THEOREM, "must be a theory.Experiment, got Theorem: make one"),
        (theory.register, "experiment", "toy", replace(EXPERIMENT, function=3), "must be a function, got 3"),
        (theory.register, "phase plane", "toy", len, "must be a function (extent, grid, tolerance, ...)"),
        (theory.register, "phase plane", "line", toys.plane, "there is a phase plane 'line' already"),
        (figures.register, "figures", "toy", FIGURE, "unknown kind of entry 'figures': did you mean 'figure'"),
        (figures.register, "figure", "3", FIGURE, "there is a figure '3' already: choose another name"),
        (figures.register, "figure", "fig/3", FIGURE, "must be lower-case words joined by hyphens, got 'fig/3'"),
        (figures.register, "figure", "toy-2", FIGURE, "has the id 'toy': give both the same name"),
        (figures.register, "figure", "toy", CLAIM, "must be a FigureSpec, got Claim: make one"),
        (figures.register, "figure", "toy", replace(FIGURE, function="draw"), "must be a function, or 'module:name'"),
        (figures.register, "claim", "4a", CLAIM, "there is a claim '4a' already"),
        (figures.register, "claim", "toy", FIGURE, "must be a Claim, got FigureSpec: make one"),
        (figures.register, "sweep", "width", figures.SweepEntry(), "there is a sweep 'width' already"),
        (figures.register, "sweep", "toy", {}, "must be a SweepEntry, got dict: make one"),
    ],
)
def test_what_cannot_be_registered_says_what_to_do(register, kind, name, entry, says):
    before = [dict(registry) for registry in REGISTRIES]
    with pytest.raises((ValueError, TypeError)) as error:
        register(kind, name, entry)
    assert says in str(error.value)
    assert [dict(registry) for registry in REGISTRIES] == before
