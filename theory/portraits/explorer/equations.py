"""The neuron's equations as JavaScript and as MathML.

They are printed from the expressions that the theorems are checked with.

Nothing is typed twice: each formula below is taken from `theory.proofs`, or solved from what is taken from there, so
that the page draws what the theorems are proved for.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy.printing.jscode import JavascriptCodePrinter

from theory.proofs import symbols
from theory.proofs.closed_form import CHANGE, MINUS, PLUS, START, D, E, G, Z, decayed, fraction
from theory.proofs.symbols import THETA, A, P, Q, R, W

PSI = sp.Symbol("psi", positive=True)  # pi - theta
ARC = sp.Symbol("g", nonnegative=True)  # g(theta), whose formula cancels near theta = pi: a function of its own
SERIES_TERMS = 8  # of g in powers of psi


@dataclass(frozen=True)
class Formula:
    """One function of the page.

    arguments : symbols, in the order in which the page passes them
    expression : what it returns
    shown : the left-hand side under which the page shows it; "" where it does not
    """

    arguments: tuple[sp.Symbol, ...]
    expression: sp.Expr
    shown: str = ""


def formulas() -> dict[str, Formula]:
    """Return the formulas of the page by their names there."""
    return {**_line(), **_closed_form(), **_several()}


def _line() -> dict[str, Formula]:
    """Return flow and loss of one input on both sides of w = 0."""
    found = {}
    for side, name, moments in ((1, "above", (P,)), (-1, "below", (Q,))):
        names, where = (A, W[side], *moments), "w > 0" if side > 0 else "w < 0"
        for part, velocity in zip("aw", symbols.line_flow(side), strict=True):
            found[f"{name}_{part}"] = Formula(names, sp.factor(velocity), f"{part}', {where}")
        found[f"{name}_loss"] = Formula((A, W[side], P, Q), sp.factor(symbols.line_loss(side)), f"L, {where}")
    return found


def _closed_form() -> dict[str, Formula]:
    """Return the closed form of one input, solved for the clock e as well, and the limits on the target.

    z is a fraction of two linear functions of e, so that every time at which z is known follows from it.
    """
    z = sp.together(fraction())
    above, below = sp.fraction(z)
    clock = sp.solve(above - Z * below, E)
    never = [sp.solve(part, E) for part in (above, below)]
    large, small = decayed()
    square, balance = sp.Symbol("s", positive=True), sp.Symbol("c", real=True)  # a^2 on the target, a^2 - r^2
    (output,) = sp.solve(symbols.population_loss().subs(THETA, 0), A)
    size = _only(sp.solve(output**2 - square, R))
    learned = _only([root for root in sp.solve(square - size**2 - balance, square) if root.subs(balance, 0) == 1])
    return {
        "fraction": Formula((PLUS, MINUS, D, E), fraction(), "z"),
        "clock": Formula((PLUS, MINUS, D, Z), _only(clock), "e(z)"),
        "clock_at_zero": Formula((PLUS, MINUS, D), _only(never[0])),
        "clock_at_infinity": Formula((PLUS, MINUS, D), _only(never[1])),
        "decayed_large": Formula((CHANGE, START, G, E), large, "larger of a² and w², w < 0"),
        "decayed_small": Formula((CHANGE, START, G, E), small, "smaller of a² and w², w < 0"),
        "learned_square": Formula((balance,), learned, "a², learned"),
    }


def _only(roots: list[sp.Expr]) -> sp.Expr:
    (root,) = roots
    return root


def _several() -> dict[str, Formula]:
    """Return flow and loss of several inputs, in a, r, psi = pi - theta and g."""
    da, dr, dtheta = symbols.polar_flow()
    arc, names = _of_psi(symbols.arc()), (A, R, PSI, ARC)
    series = sp.series(arc, PSI, 0, 2 * SERIES_TERMS).removeO()
    return {
        "polar_a": Formula(names, _with_arc(da, arc), "a'"),
        "polar_r": Formula(names, _with_arc(dr, arc), "r'"),
        "polar_psi": Formula(names, _with_arc(-dtheta, arc), "ψ' = -θ'"),
        "polar_loss": Formula(names, _with_arc(symbols.population_loss(), arc), "L"),
        "arc": Formula((PSI,), arc, "g"),
        "arc_series": Formula((PSI,), sp.horner(series)),
    }


def _of_psi(expression: sp.Expr) -> sp.Expr:
    return sp.expand(sp.expand_trig(expression.subs(THETA, sp.pi - PSI)))


def _with_arc(expression: sp.Expr, arc: sp.Expr) -> sp.Expr:
    """Write an expression with g in the place of its cosine, so that it loses no digits near psi = 0."""
    (cosine,) = sp.solve(arc - ARC, sp.cos(PSI))
    return sp.expand(_of_psi(expression).subs(sp.cos(PSI), cosine))


class _Printer(JavascriptCodePrinter):
    """sympy's printer of JavaScript, but small whole powers are products: exact, and faster."""

    def _print_Pow(self, expr: sp.Pow) -> str:
        if expr.exp.is_Integer and 2 <= expr.exp <= 4:
            base = self.parenthesize(expr.base, 1000)
            return f"({'*'.join([base] * int(expr.exp))})"
        return super()._print_Pow(expr)


def javascript() -> str:
    """Return the formulas as one JavaScript object, `equations`, of functions."""
    printer = _Printer()
    lines = []
    for name, formula in formulas().items():
        names = ", ".join(symbol.name for symbol in formula.arguments)
        lines.append(f"  {name}: ({names}) => {printer.doprint(formula.expression)},")
    return "\n".join(["const equations = {", *lines, "};\n"])


def mathml() -> list[tuple[str, str]]:
    """Return the formulas that the page shows: left-hand sides, and MathML of the right-hand sides."""
    return [
        (formula.shown, f"<math>{sp.mathml(formula.expression, printer='presentation')}</math>")
        for formula in formulas().values()
        if formula.shown
    ]
