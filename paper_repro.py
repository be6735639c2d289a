"""Reproduce "Masks, Signs, And Learning Rate Rewinding": experiments, figures and claims.

This file connects the packages `theory`, `empirics` and `figures`, which do the work and which it imports only where
it uses them. Without arguments it runs the command `figures` with the preset `quick`.
"""

import os
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load, Ctrl-C ends the process without a traceback

from empirics import commands
from empirics.choices import check_choice
from empirics.cli import Claims, Explain, Explore, Figures, List, Protocols, Theory, Verify
from empirics.commands import EXIT_FAILED, say
from empirics.studies.plan import Plan, forecasts

MAIN_FIGURES = ("1", "2", "3", "4", "5")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done; 1: something failed; 2: invalid options or inputs; after a signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for
    a closed terminal (SIGHUP). Signal handlers (changed in the main thread alone) and standard streams are restored.
    """

    def run() -> int:
        given = list(sys.argv[1:] if arguments is None else arguments)
        command = commands.parsed(given, lambda: import_module("figures.catalogue").FIGURES)
        return RUN[type(command)](command, shlex.join(["paper_repro.py", *given]))

    return commands.exit_code(run)


def run_figures(command: Figures, line: str) -> int:
    """Run missing experiments of the neuron, train missing networks, draw the figures."""
    from empirics.storage.files import check_writable
    from figures.catalogue import FIGURES, check_protocol, figures_under

    ids = [check_choice(figure, FIGURES, "figure") for figure in command.ids] or figures_under(command.protocol)
    chosen = [check_protocol(figure, command.protocol) for figure in ids]
    if not command.dry_run:
        check_writable(command.out)
        if not commands.only_draws(command) and not os.path.lexists(command.results):
            check_writable(command.results)
    if commands.only_draws(command):
        return 0 if command.dry_run else _redraw(chosen, command, line)
    specs = [FIGURES[name] for name in chosen]
    every = not command.ids and len(specs) == len(FIGURES)
    plans = commands.figure_plans(command, specs, not command.ids)
    if command.dry_run:
        print(commands.figures_forecast(specs, plans, command))
        return 0
    written = commands.is_written(plans, _missing(_experiments(specs, every), command.results), command.results)
    first = [spec for spec in specs if spec.id in MAIN_FIGURES]
    failed = 0
    if 0 < len(first) < len(specs) and any(plan.tasks for plan in plans):  # the paper's figures come first
        failed = _make(commands.figure_plans(command, first, False), first, command, False)
        with commands.alone_in(command.out):
            failed = max(failed, commands.code_of(draw([spec.id for spec in first], command, line)))
        plans = commands.figure_plans(command, specs, not command.ids)
    failed = max(failed, _make(plans, specs, command, every) if written else 0)
    return max(failed, _draw_and_report(command, line))


def _experiments(specs: Sequence[commands.Figure], whole: bool) -> tuple[str, ...] | None:
    """The experiments of the neuron that some figures need; None for all experiments."""
    return None if whole else tuple({name: None for spec in specs for name in spec.theory})


def _make(plans: Sequence[Plan], specs: Sequence[commands.Figure], command: Figures, whole: bool) -> int:
    _run_experiments(_experiments(specs, whole), command.results)
    return EXIT_FAILED if commands.run_plans(plans, command) + commands.measure_for(specs, plans, command) else 0


def draw(ids: Sequence[str] | None, command: Figures | Claims, line: str) -> list[Any]:
    """Draw figures and judge claims from the existing results; None for all figures."""
    from empirics.storage.files import check_writable
    from figures.regenerate import regenerate

    check_writable(command.out)
    options = _drawing(line, protocol=command.protocol, accuracy=command.accuracy)
    return regenerate(ids, command.results, command.out, bundled=not command.results_alone, **options)


def _draw_and_report(command: Figures, line: str) -> int:
    """Draw the requested figures from the existing results, and write Table 1 and the report."""
    from figures.regenerate import with_claims
    from figures.report.files import write_report

    with commands.alone_in(command.out):
        outcomes = draw(with_claims(command.ids, command.out, command.protocol, command.accuracy), command, line)
        commands.write_tables(command.out)
        variant = (command.protocol, command.accuracy)
        if report := write_report(command.out, outcomes, _drawing(line)["write"], *variant):
            say(f"report: {report}")
    return commands.code_of(outcomes)


def _redraw(chosen: Sequence[str], command: Figures, line: str) -> int:
    """Draw existing results without running anything: over others, or with their best accuracies."""
    from figures.comparison.overlay import compare_results

    if command.compare is None:
        return _draw_and_report(command, line)
    with commands.alone_in(command.out):
        places = (command.results, command.compare, command.out)
        return commands.code_of(compare_results(chosen, *places, **_drawing(line, protocol=command.protocol)))


def _drawing(line: str, **more: str) -> dict[str, Any]:
    """What drawing needs from the other packages: a file writer, provenance, names of theory results."""
    from empirics.provenance import provenance
    from empirics.storage.files import write_atomic
    from theory.experiments.registry import EXPERIMENTS, result_name

    files = {name: result_name(name) for name in EXPERIMENTS}
    return dict(write=write_atomic, provenance=provenance(threads=1), command=line, log=say, prefer=files, **more)


def run_claims(command: Claims, line: str) -> int:
    """Judge the claims."""
    with commands.alone_in(command.out):
        outcomes = draw(["claims"], command, line)
        table = commands.read_table(command.out, outcomes)
    print(table)
    return commands.code_of(outcomes)


def run_protocols(command: Protocols, line: str) -> int:
    """Run both protocols, and write the table and the figure of the verdicts that turn with the protocol."""
    from figures.comparison.protocols import compare_protocols

    plans = commands.protocol_plans(command)
    if command.dry_run:
        print(forecasts(plans, command))
        return 0
    failed = commands.is_written(plans, (), command.results) and commands.run_plans(plans, command)
    with commands.alone_in(command.out):
        outcomes = [compare_protocols(command.results, command.out, **_drawing(line))]
        print(commands.read_table(command.out, outcomes))
    return EXIT_FAILED if failed else commands.code_of(outcomes)


def run_theory(command: Theory, line: str) -> int:
    """Run experiments, or check the theorems."""
    from theory.theorems import check_table

    if command.check:
        return 0 if commands.print_checks(check_table()) else EXIT_FAILED
    _run_experiments(command.experiments or None, command.results)
    return 0


def _missing(names: Sequence[str] | None, results: Path) -> list[str]:
    """The experiments of the neuron whose result file is missing or damaged; `names` None: all."""
    from empirics.studies.records import theory_result_stands
    from theory.experiments.registry import EXPERIMENTS, result_name

    wanted = [check_choice(name, EXPERIMENTS, "experiment") for name in (EXPERIMENTS if names is None else names)]
    return [name for name in dict.fromkeys(wanted) if not theory_result_stands(results / "theory", result_name(name))]


def _run_experiments(names: Sequence[str] | None, results: Path) -> None:
    """Run the experiments of the neuron whose result file is missing or damaged; `names` None: all."""
    from empirics.cores import usable_cores
    from theory.experiments.parallel import timed, worth_a_process
    from theory.experiments.registry import EXPERIMENTS, files, result_name

    if missing := _missing(names, results):
        runs = {name: partial(timed, EXPERIMENTS[name]) for name in missing}
        write = commands.experiment_writer(results, files, result_name)
        commands.run_experiments(runs, worth_a_process(missing, usable_cores()), usable_cores(), write)


def run_list(command: List, line: str) -> int:
    """Print every registry."""
    import theory
    from figures.catalogue import FIGURES
    from figures.claims.registry import CLAIMS

    entries_of = commands.registries_listed(command.protocol)
    entries_of |= {"theorems": theory.THEOREMS, "experiments of the neuron": theory.EXPERIMENTS}
    for title, entries in {**entries_of, "figures": FIGURES, "claims": CLAIMS}.items():
        print(commands.listing(title, entries))
    return 0


def run_explain(command: Explain, line: str) -> int:
    """Print a figure's provenance."""
    from figures.provenance.explain import explain

    print(explain(command.what, command.results, command.out, command.protocol))
    return 0


def run_verify(command: Verify, line: str) -> int:
    """Recompute a figure in a fresh folder, and compare it with the existing one."""
    from figures.catalogue import FIGURES
    from figures.comparison.verify import verify
    from figures.provenance.sidecars import standing_figure

    name = check_choice(command.figure, FIGURES, "figure")
    standing = standing_figure(name, command.reference, command.protocol)
    shown = standing.get("studies", {})
    wanted = {check_choice(study, shown, f"study of figure {name}") for study in command.studies} or set(shown)
    with commands.fresh(command.output_dir) as folder:
        kept = commands.options_kept(command, folder / "results")
        plans = commands.studies_again({study: shown[study] for study in shown if study in wanted}, kept)
        if command.dry_run:
            print(forecasts(plans, kept) or "no network to train")
            return 0
        _run_experiments(tuple(standing.get("theory", {})), kept.results)
        if failures := commands.run_plans(plans, kept) + commands.measure_for([FIGURES[name]], plans, kept):
            say(f"figure {name} cannot be recomputed: {failures} runs or measurements failed")
            return EXIT_FAILED
        accuracy = standing.get("accuracy", "last")
        alone = not any(shown[study].get("records") for study in shown)
        draw([name], Claims(command.protocol, kept.results, folder / "out", alone, accuracy), line)
        made = standing_figure(name, folder / "out/figures", command.protocol, accuracy)
    verdict = verify(standing, made, set(shown) - wanted, command.tolerance)
    print("\n".join(verdict.lines))
    return 0 if verdict.agrees else EXIT_FAILED


RUN = commands.RUN | {
    Figures: run_figures,
    Theory: run_theory,
    Explore: lambda command, line: commands.write_page(import_module("theory").explore().html, command),
    Claims: run_claims,
    Protocols: run_protocols,
    List: run_list,
    Explain: run_explain,
    Verify: run_verify,
}


if __name__ == "__main__":
    sys.exit(main())
