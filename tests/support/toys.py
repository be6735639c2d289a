"""Toy entries of the registries, as a user would write them in a module of their own."""

import os

from figures import Caption, Claim, Drawing, FigureSpec
from theory import Experiment, Mutant, PhasePlane, Result, Theorem
from theory.portraits.planes import line


def theorem(name: str, value: int = 4) -> Theorem:
    """2 + 2 = `value`, with a mutant."""
    return Theorem(
        name,
        "2 + 2 = 4",
        (),
        "ours",
        {"value": value},
        derive=lambda claim: {"the sum": 2 + 2 == claim.value},
        observe=lambda rng: len(rng.integers(9, size=2)) + 2,
        compare=lambda seen, claim: {"the sum": seen == claim.value},
        mutants={"five": Mutant("4 becomes 5", {"value": 5})},
    )


def plane(extent: float, grid: int, tolerance: float, scale: float = 1.0) -> PhasePlane:
    """The plane of one input, `scale` times as wide."""
    return line(scale * extent, grid, tolerance)


def run(trials: int) -> Result:
    """An experiment that says in which process it ran."""
    return Result({"process": os.getpid(), "trials": trials, "successes": trials})


def experiment(name: str, **more) -> Experiment:
    """A toy experiment."""
    return Experiment(name, more.pop("function", run), {"trials": 7}, "a toy experiment", **more)


def draw(records) -> Drawing:
    """The successes of the toy experiment, as a point."""
    from figures.plots.builder import new_sheet

    sheet, values = new_sheet(3.0, 2.0), records.theory["toy-experiment"].values
    sheet.figure.subplots().plot([values["trials"]], [values["successes"]], "o")
    caption = Caption("The successes of a toy.", f"Data: n = {values['trials']} trials.")
    return Drawing(sheet.figure, {"successes": values["successes"]}, caption)


def figure(name: str) -> FigureSpec:
    """A toy figure of the toy experiment."""
    return FigureSpec(name, "A toy figure", draw, ("toy-experiment",), ())


def rows(evidence) -> list:
    """The share of the toy experiment's successes."""
    from figures.claims.verdicts import PROBABILITY, REPRODUCED, from_interval, theory_missing

    result = evidence.theory.get("toy-experiment")
    if result is None:
        return [theory_missing(evidence, "successes", "toy-experiment", PROBABILITY)]
    share = {"value": result.values["successes"] / result.values["trials"], "low": 0.9, "high": 1.0}
    return [from_interval("successes", share, result.values["trials"], PROBABILITY, result, verdict=REPRODUCED)]


def claim() -> Claim:
    """A toy claim about the toy experiment."""
    from figures.claims.registry import ON_THEORY
    from figures.claims.verdicts import conjunction

    return Claim("Toys succeed", "Toys succeed", "ours", ON_THEORY, rows, conjunction, theory=("toy-experiment",))
