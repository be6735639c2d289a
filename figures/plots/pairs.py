"""Curves of pairs of networks: the error on the line between them, and their numbers over levels."""

from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis.statistics import interval_columns
from figures.plots import style
from figures.plots.panels import THIN, fit_height, plot_means
from figures.plots.style import GREEN, ArmStyle
from figures.results.connectivity import NetworkPair
from figures.results.network import StudyResults

MEASURES = {  # panel -> title, label of its axis, the number of a pair
    "barrier": ("barriers, batch norm recomputed", "barrier of the test error", lambda pair: pair.barrier),
    "barrier_not_recomputed": (
        "barriers, batch norm interpolated",
        "barrier of the test error",
        lambda pair: pair.barrier_not_recomputed,
    ),
    "sign_similarity": ("equal signs", "share of common survivors", lambda pair: pair.sign_similarity),
}
_SHORT = (0, (2, 1))


@dataclass(frozen=True)
class PairKind:
    """The pairs of one curve: `between` as in the record, the arm of their second end, and the look."""

    between: str
    arm: str
    look: ArmStyle

    def has(self, pair: NetworkPair) -> bool:
        """Whether a pair belongs to the curve; level 0 of two seeds is the same for both arms."""
        return pair.between == self.between and (pair.arms[1] in (self.arm, "dense"))


KINDS_OF_PAIRS = {
    "rules": PairKind("rules", "lrr", ArmStyle("IMP and LRR of a seed", GREEN, "D", "-")),
    "levels imp": PairKind("levels", "imp", ArmStyle("IMP, levels k - 1 and k", "imp", "o", "-")),
    "levels lrr": PairKind("levels", "lrr", ArmStyle("LRR, levels k - 1 and k", "lrr", "s", "-")),
    "seeds imp": PairKind("seeds", "imp", ArmStyle("IMP, two seeds", "imp", "o", _SHORT, filled=False)),
    "seeds lrr": PairKind("seeds", "lrr", ArmStyle("LRR, two seeds", "lrr", "s", _SHORT, filled=False)),
}
ON_THE_LINE = {
    "errors": KINDS_OF_PAIRS["rules"].look,
    "errors_not_recomputed": ArmStyle("the same, batch norm interpolated", style.GREY, "x", _SHORT),
}


def line_curves(results: StudyResults) -> dict[str, dict[str, list]]:
    """The test error on the line from IMP to LRR at the last level; empty without a pair.

    It is given by the treatment of batch norm. The lists `mean`, `low`, `high`, `n` and `values` (one per seed, in the
    order of `seeds`) have an entry per alpha.
    """
    last = results.study.levels - 1
    there = [
        pair for pair in results.connectivity.pairs if KINDS_OF_PAIRS["rules"].has(pair) and pair.levels == (last, last)
    ]
    curves = {}
    for name in ON_THE_LINE if there else ():
        values = [list(errors) for errors in zip(*(getattr(pair, name) for pair in there), strict=True)]
        columns = {"alpha": list(results.connectivity.alphas), **interval_columns(values), "values": values}
        curves[name] = columns | {"seeds": [pair.seeds[0] for pair in there]}
    return curves


def level_curve(pairs: Sequence[NetworkPair], kind: str, measure: str) -> dict[str, list]:
    """A number of the pairs of one kind over levels; pairs without it (no common survivor) are left out.

    Lists `level`, `mean`, `low`, `high`, `n`, `seeds` (of each pair) and `values`, with an entry per level.
    """
    of_pair = MEASURES[measure][2]
    mine = [pair for pair in pairs if KINDS_OF_PAIRS[kind].has(pair) and of_pair(pair) is not None]
    levels = sorted({pair.levels[1] for pair in mine})
    at = [[pair for pair in mine if pair.levels[1] == level] for level in levels]
    values = [list(map(of_pair, there)) for there in at]
    seeds = [[list(pair.seeds) for pair in there] for there in at]
    return {"level": levels, **interval_columns(values), "seeds": seeds, "values": values}


def draw_line(axes, curves: dict) -> None:
    """Draw the test error on the line between two networks, by the treatment of batch norm."""
    for name, curve in curves.items():
        plot_means(axes, curve["alpha"], curve, **THIN, **ON_THE_LINE[name].line_kwargs())
    fit_height(axes, list(curves.values()), least=0.0, most=1.0)
    axes.set_xlabel("alpha (0: IMP, 1: LRR)")
    axes.set_ylabel("test error")
    axes.grid(axis="y")


def draw_levels(axes, curves: dict, measure: str) -> None:
    """Draw a number of the pairs over levels, a curve for each kind of pairs."""
    there = {kind: curve for kind, curve in curves.items() if curve["level"]}
    for place, (kind, curve) in enumerate(there.items()):
        shift = (place - (len(there) - 1) / 2) * 0.07
        look = style.with_colour(KINDS_OF_PAIRS[kind].look).line_kwargs()
        plot_means(axes, [level + shift for level in curve["level"]], curve, **THIN, **look)
    if measure == "sign_similarity":
        axes.axhline(0.5, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    fit_height(axes, list(there.values()), least=-0.02, most=1.02)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("level")
    axes.grid(axis="y")
