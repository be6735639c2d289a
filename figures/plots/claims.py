"""All claims at a glance: a line for each effect, its interval and its verdict. Not in the paper.

The lines are drawn by `figures.plots.claim_lines`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from figures.claims.registry import evaluate
from figures.claims.tables import by_place
from figures.claims.verdicts import NOT_RUN, ClaimVerdict
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, join_caption
from figures.plots.captions import claims as captions
from figures.plots.choose import absent_datasets, dataset_name
from figures.plots.claim_lines import Line, draw_lines, plotted_row
from figures.plots.finish import finish
from figures.plots.sentences import format_data, format_seeds
from figures.results.datasets import PAPER_DATASETS
from figures.results.network import Records, StudyResults
from figures.results.variants import LAST_EPOCH, plain_preset


def figure_claims(records: Records) -> Drawing:
    """Every claim's deciding effects and training-length controls, grouped by what they are judged on."""
    records = records.judged
    verdicts = evaluate(records)
    rows = [row for verdict in verdicts for row in verdict.rows if row.role != "secondary"]
    missing = _missing(verdicts, records)
    if all(row.effect is None for row in rows):
        raise NothingToDraw(missing)
    names = {r.study.dataset: dataset_name(r.study) for r in (*records.studies, *records.sweeps)}
    lines = [line for title, group in _places(verdicts).items() for line in _group(title, group, names)]
    plotted = {title: [_numbers(verdict) for verdict in group] for title, group in _places(verdicts).items()}
    sheet = FigureBuilder(draw_lines(lines), plotted=plotted, missing=missing)
    drawn = [(results, arms) for results in records.studies if (arms := _shown_arms(results))]
    networks = f"networks: {format_data(drawn)}; " if drawn else ""
    return finish(
        sheet,
        captions.ALL_CLAIMS,
        f"{networks}the number n of seeds or trials of each effect is in its line",
        of_last_epoch="" if records.accuracy == LAST_EPOCH else ", for the accuracy of the last epoch",
        studies=join_caption(*(f"{format_seeds(results, arms)}." for results, arms in drawn)),
        sweeps=join_caption(*_other_networks(records)),
    )


def _places(verdicts: Sequence[ClaimVerdict]) -> dict[str, list[ClaimVerdict]]:
    """The verdicts under the headings of the table; those without any result are last."""
    empty = [v for v in verdicts if v.dataset is None and all(r.verdict == NOT_RUN for r in v.rows if r.decides)]
    found = by_place([verdict for verdict in verdicts if verdict not in empty])
    return found | ({NOT_RUN: empty} if empty else {})


def _group(title: str, verdicts: Sequence[ClaimVerdict], names: Mapping[str, str]) -> list[Line]:
    """The lines of one heading; `names` holds the titles of the data sets."""
    lines = [Line(_heading(title, verdicts[0], names), "heading")]
    for verdict in verdicts:
        shown = [row for row in verdict.rows if row.role != "secondary"]
        deciding = [row for row in shown if row.decides]
        parts = len(deciding) > 1
        head = f"{verdict.id}  {verdict.short}"
        asked = not verdict.id[0].isdigit()
        head = verdict.short if asked else head
        lines.append(Line(head, "claim", verdict.verdict, None if parts else deciding[0]))
        lines += [Line(row.label, row.role, row.verdict, row) for row in shown if parts or row is not deciding[0]]
    return lines


def _heading(title: str, verdict: ClaimVerdict, names: Mapping[str, str]) -> str:
    if verdict.dataset is None:
        return "One neuron: theory" if title != NOT_RUN else "Not run"
    changes = f", {verdict.shared_overrides}" if verdict.shared_overrides else ""
    what = "sweeps of preset" if verdict.sweep else "preset"
    return f"{names[verdict.dataset]}: {what} {plain_preset(verdict.preset)}{changes}"


def _numbers(verdict: ClaimVerdict) -> dict:
    """The plotted numbers of a verdict.

    For each row they are the value and the interval, in its unit and in multiples of the smallest effect that matters.
    """
    rows = []
    for row in verdict.rows:
        if row.role != "secondary":
            rows.append(plotted_row(row))
    head = ("id", "claim", "source", "study", "sweep", "preset", "dataset", "scope", "verdict", "control")
    return {key: getattr(verdict, key) for key in head} | {"rows": rows}


def _missing(verdicts: Sequence[ClaimVerdict], records: Records) -> list[Missing]:
    """The rows that have not been run, by command, and the data sets of the paper that have not been run."""
    wanted: dict[str, list[str]] = {}
    for verdict in verdicts:
        for row in verdict.rows:
            if row.verdict == NOT_RUN and row.role != "secondary":
                wanted.setdefault(row.command, []).append(verdict.id)
    found = [Missing(f"claims {', '.join(dict.fromkeys(ids))}", "not run", command) for command, ids in wanted.items()]
    return [*found, *absent_datasets(records, tuple(PAPER_DATASETS), "claims")]


def _other_networks(records: Records) -> list[str]:
    """The settings of every sweep that differ from the preset's own.

    Returns a sentence for each preset and data set.
    """
    common = {r.study.place: r.study for r in records.sweeps if r.study.shared_overrides}
    return [
        f"Sweeps ({dataset_name(study)}, preset {study.base}) run with {_settings(study.shared_overrides)}, unless that"
        " is varied."
        for study in common.values()
    ]


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def _shown_arms(results: StudyResults) -> list[str]:
    """The arms whose seeds stand for the study: IMP and LRR, or else its first arm."""
    return [arm for arm in ("imp", "lrr") if arm in results.arms] or list(results.arms)[:1]
