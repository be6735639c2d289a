"""The page that draws the phase planes: one HTML file that needs no server and no network.

What flows in: formulas from `theory.proofs` (by `theory.portraits.explorer.equations`), coefficients of the Runge-Kutta
method from scipy, exact probabilities and the theorems' statements and mutants from this package, and the starting
state. What flows out: HTML whose security policy admits its own script and style by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.portraits.curves import PhasePlane
from theory.validation import known, moment, number, sign_of

_SCRIPTS = ("state.js", "flow.js", "experiments.js", "planes.js", "scene.js", "python.js", "app.js")  # in this order
_MOST_STARTS = 64  # as in state.js
_MOST_INPUTS = 40  # of the exact probabilities that the page shows
_FRAME = (
    '<iframe sandbox="allow-scripts allow-downloads" title="The flow of one neuron" width="100%" height="900" '
    'style="border: 0" srcdoc="{}"></iframe>'
)


@dataclass(frozen=True)
class Explorer:
    """A page that draws the phase planes; it ends a notebook's cell as a frame.

    html : the whole page
    state : what it shows first, as it stands after # in the page's address
    """

    html: str
    state: str

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, and return its path."""
        target = Path(path)
        target.write_text(self.html, encoding="utf-8", newline="\n")
        return target

    def __repr__(self) -> str:
        return f"Explorer({len(self.html) // 1000} kB, state={self.state!r:.60})"

    def _repr_html_(self) -> str:
        return _FRAME.format(escape(self.html))


def explore(
    plane: str | PhasePlane = "line",
    *,
    starts: Sequence[tuple[float, ArrayLike]] = (),
    c_plus: float = 0.5,
    c_minus: float = 0.5,
    k_plus: float = 1.0,
    k_minus: float = 0.0,
    c: float = 1.0,
    sign_a: int = 1,
    horizon: float = 20.0,
    backwards: bool = False,
) -> Explorer:
    """Return a page on which the flow of the neuron can be explored, without server and network.

    Its equations are printed from the expressions that the theorems are checked with. Verdicts, limits and, for one
    input, trajectories are exact; several inputs are integrated.

    Args:
        plane: `line` (one input), `balanced` or `slice` (several inputs), or a plane of `theory.phase_plane`, whose
            parameters are then taken.
        starts: starts (a0, w0) in that plane, at most 64; w0 a number for one input, shape (d,) for several.
        c_plus: of `line`: second moment of the inputs above 0, as in `theory.Line`.
        c_minus: of `line`: that of the inputs below 0.
        k_plus: of `line`: slope of the target above 0.
        k_minus: of `line`: slope of the target below 0.
        c: of `slice`: the conserved a^2 - |w|^2.
        sign_a: of `slice`, where c >= 0, and of `balanced`: the sign of a.
        horizon: float, from 0.1 to 10,000, the time for which trajectories are shown.
        backwards: bool, draw them before their start as well.

    Returns:
        Explorer: `save(path)` writes the page; in a notebook it is shown in a frame that can reach nothing else.

    Raises:
        ValueError: an unknown plane, a number out of range, or a start outside the plane.

    Source: this project.

    Examples:
        >>> explore("line", starts=[(-0.6, 1.5), (0.7, -1.2)]).state
        'starts=-0.6,1.5;0.7,-1.2'
    """
    if isinstance(plane, PhasePlane):
        given, plane = plane.parameters, plane.name
        c_plus, c_minus = given.get("c_plus", c_plus), given.get("c_minus", c_minus)
        c, sign_a = given.get("c", c), given.get("sign_a", sign_a)
    known("plane of the page", plane, ("line", "balanced", "slice"))
    c = 0.0 if plane == "balanced" else number("c", c)
    moments = {"p": moment("c_plus", c_plus), "q": moment("c_minus", c_minus)}
    slopes = {"kp": number("k_plus", k_plus), "km": number("k_minus", k_minus)}
    sign = sign_of("sign_a", sign_a, "it selects a > 0 or a < 0")
    ranged = {**moments, **slopes, "c": c, "t": number("horizon", horizon)}
    _check_ranges(ranged, plane)
    points = [_point(plane, c, sign, *start) for start in starts]
    if len(points) > _MOST_STARTS:
        raise ValueError(f"starts must be at most {_MOST_STARTS}, got {len(points)}: the page draws no more")
    parts = [f"plane={plane}"] if plane != "line" else []
    parts += ["sign=minus"] if sign < 0 and plane != "line" else []
    usual = {"p": 0.5, "q": 0.5, "kp": 1.0, "km": 0.0, "c": 0.0 if plane == "balanced" else 1.0, "t": 20.0}
    parts += [f"{key}={value!r}" for key, value in ranged.items() if value != usual[key] and _read(key, plane)]
    parts += ["back=1"] if backwards else []
    parts += ["starts=" + ";".join(f"{x!r},{y!r}" for x, y in points)] if points else []
    state = "&".join(parts)
    return Explorer(_html(state), state)


def _read(key: str, plane: str) -> bool:
    """Whether a plane reads an entry of the state."""
    return key == "t" or (plane == "line" and key != "c") or (plane == "slice" and key == "c")


_RANGES = {  # as in state.js; a test compares them
    "p": (0.05, 4, "c_plus"),
    "q": (0.05, 4, "c_minus"),
    "kp": (-2, 2, "k_plus"),
    "km": (-2, 2, "k_minus"),
    "c": (-9, 9, "c"),
    "t": (0.1, 10_000, "horizon"),
}


def _check_ranges(values: dict[str, float], plane: str) -> None:
    for key, value in values.items():
        low, high, name = _RANGES[key]
        if _read(key, plane) and not low <= value <= high:
            raise ValueError(f"{name} must lie from {low} to {high} on the page, got {value!r}: see theory.phase_plane")


def _point(plane: str, c: float, sign: int, a0: float, w0: ArrayLike) -> tuple[float, float]:
    """Return a start in the coordinates of its plane."""
    from theory.portraits.trajectories import check_in_plane

    a, w = number("a0", a0), np.asarray(w0, float)
    if plane == "line":
        return a, number("w0", w.item() if w.size == 1 else w0)  # pyright: ignore[reportArgumentType]  # refused there
    if w.ndim != 1 or w.size < 2:
        raise ValueError(f"w0 must have shape (d,) with d > 1, since the plane is that of several inputs, got {w0!r}")
    check_in_plane(c, sign if c >= 0 else 0, a, w)
    across = float(np.hypot.reduce(w[1:]))
    r = float(np.hypot(w[0], across))
    return (a if c < 0 else r), float(np.arctan2(across, w[0]))


def _html(state: str) -> str:
    style, script = _text("page.css"), _script()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_text("page.html")).substitute(
        policy=escape(policy), state=escape(state), style=style, script=script, equations=_equations()
    )


def _text(name: str) -> str:
    return files("theory.portraits.explorer").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _script() -> str:
    from theory.portraits.explorer.equations import javascript

    parts = [f"const facts = {_json(_facts())};", f"const tableau = {_json(_tableau())};", javascript()]
    return "\n".join(['"use strict";', "(() => {", *parts, *(_text(name) for name in _SCRIPTS), "})();"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _equations() -> str:
    from theory.portraits.explorer.equations import mathml

    return "".join(f"<dt>{escape(name)}</dt><dd>{shown}</dd>" for name, shown in mathml())


def _tableau() -> dict[str, list]:
    """Return the coefficients of the Runge-Kutta method, as the compiled flow uses them."""
    from scipy.integrate import DOP853

    return {name: getattr(DOP853, name).tolist() for name in ("A", "B", "E3", "E5")}


def _facts() -> dict[str, Any]:
    """Return what the page shows of this package: statements, edges of the basin, exact probabilities."""
    from theory.probability import DENSE_AND_REWINDS, success_probability_exact
    from theory.proofs import basin, line, pruning
    from theory.sampling import STARTS

    theorems = (line.THEOREM_2_1, basin.LEMMA_2_2, pruning.THEOREM_2_3)
    edges = {
        name: [{"name": "the theorem", "claim": None}, *_mutants(theorem)]
        for name, theorem in (("line", line.BASIN_1D), ("several", basin.BASIN))
    }
    probabilities = {
        init: [
            [round(success_probability_exact(rule, init, d), 12) for rule in DENSE_AND_REWINDS]
            for d in range(1, _MOST_INPUTS + 1)
        ]
        for init in STARTS
    }
    names = ("Theorem 2.1", "Lemma 2.2", "Theorem 2.3")
    statements = {name: theorem.statement for name, theorem in zip(names, theorems, strict=True)}
    return {
        "edges": edges,
        "statements": statements,
        "probabilities": probabilities,
        "rules": list(DENSE_AND_REWINDS),
    }


def _mutants(theorem: Any) -> list[dict[str, Any]]:
    """Return the false edges of a theorem's mutants, which the map of fates must contradict."""
    return [
        {"name": f"false: {mutant.change}", "claim": dict(theorem.claim) | dict(mutant.claim)}
        for mutant in theorem.mutants.values()
    ]
