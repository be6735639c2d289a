"""Figure 6: what a share of flipped signs costs IMP and LRR.

The cost is drawn over density, over the share, and by level and scope.
"""

from collections.abc import Sequence

from figures.analysis import measures
from figures.analysis.sweeps import Sweep, find_sweeps, perturbed_studies
from figures.plots import style
from figures.plots.builder import Drawing, Missing, NothingToDraw, new_sheet
from figures.plots.captions import signs as captions
from figures.plots.captions.text import means_note
from figures.plots.choose import arms_there, nothing_run, panel_name
from figures.plots.finish import finish
from figures.plots.layout import add_blocks, joined_rows, legend_below
from figures.plots.perturbation_panels import draw_study, draw_sweep
from figures.plots.perturbations import (
    CONTROL_ARM,
    DROPS,
    PERTURBATION_ARMS,
    PERTURBATION_PANEL,
    Perturbed,
    other_places,
    perturbations,
    rules_with_drops,
)
from figures.plots.sentences import format_data, format_n
from figures.plots.sweep_sentences import network_name
from figures.results.network import Records, train_command
from figures.results.variants import with_protocol


def figure_6(records: Records) -> Drawing:
    """Figure 6: accuracy with and without perturbed signs, and what the perturbation costs each rule."""
    kept, missing = _kept(records)
    varied = [(sweep, perturbations(sweep)) for sweep in find_sweeps(records, "perturbation")]
    missing += [item for sweep, _ in varied for item in _absent_values(sweep)]
    varied = [(sweep, found) for sweep, found in varied if found]
    missing += _absent_sweeps(records, varied)
    if not kept and not varied:
        raise NothingToDraw(
            [*([] if records.studies else [nothing_run(PERTURBATION_PANEL, records.protocol)]), *missing]
        )
    panels = [1 + bool(rules_with_drops(results)) for results, _ in kept]
    panels += [1 + bool(other_places(found)) for _, found in varied]
    sheet = new_sheet(style.TWO_COLUMNS, 2.3 * len(joined_rows(panels)) + 0.55, missing)
    blocks = add_blocks(sheet, panels)
    for axes, (results, there) in zip(blocks, kept, strict=False):
        sheet.plotted[results.study.study] = draw_study(sheet, axes, results, there)
    for axes, (sweep, found) in zip(blocks[len(kept) :], varied, strict=True):
        sheet.plotted[sweep.place] = draw_sweep(sheet, axes, sweep, found)
    legend_below(sheet, [*(axes[-1] for axes in blocks), *(axes[0] for axes in blocks)], 4)
    return finish(
        sheet,
        captions.PERTURBED if kept else captions.COST_ALONE,
        "; ".join([*([format_data(kept)] if kept else []), *(_sweep_data(sweep, found) for sweep, found in varied)]),
        means=means_note(records),
        flip_line=captions.FLIP_LINE if kept else "",
        control=captions.UNPERTURBED if any(CONTROL_ARM in there for _, there in kept) else "",
    )


def _sweep_data(sweep: Sweep, found: Sequence[Perturbed]) -> str:
    """The data of a sweep and their number, for the opening of the caption."""
    seeds = [len(measures.shared_seeds(p.results, DROPS[rule])) for p in found for rule in DROPS]
    return f"{network_name(sweep)}, {format_n([n for n in seeds if n])} at each of {len(found)} perturbations"


def _kept(records: Records) -> tuple[list, list[Missing]]:
    """The studies whose accuracy is drawn over density, and what is missing.

    Each study comes with its arms that have a complete seed.
    """
    kept = []
    missing = []
    shown = perturbed_studies(records)
    judged = {results.study.place for results, _ in shown}
    plain = [r for r in records.studies if r.study.place not in judged]
    for results, sweep in (*shown, *((r, None) for r in plain)):
        there, lost = arms_there(
            results, PERTURBATION_ARMS if sweep else (*PERTURBATION_ARMS, CONTROL_ARM), PERTURBATION_PANEL
        )
        missing += lost
        kept += [(results, there)] if set(PERTURBATION_ARMS) <= set(there) else []
    return kept, missing


def _absent_values(sweep: Sweep) -> list[Missing]:
    """The arms that are missing at a value, each value named by its study."""
    return [
        Missing(
            f"cost over the share, {results.study.study}",
            f"{', '.join(absent)} without a complete seed",
            train_command(results.study, ()),
            ", ".join(style.arm_style(arm).label for arm in absent),
        )
        for results in sweep.studies
        if (absent := [arm for arm in PERTURBATION_ARMS if not measures.seeds_of(results, arm)[0]])
    ]


def _absent_sweeps(records: Records, varied: Sequence[tuple]) -> list[Missing]:
    """The presets whose share and level of perturbation have not been varied."""
    there = {sweep.study.place for sweep, _ in varied}
    plain = {r.study.place: r.study for r in records.studies if not r.study.overrides}
    return [
        Missing(
            f"cost over the share, {panel_name(study)}",
            "the share and the level have not been varied",
            with_protocol(f"paper_repro.py train --preset {study.base} --sweep perturbation", study.protocol),
        )
        for place, study in plain.items()
        if place not in there
    ]
