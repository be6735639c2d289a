"""The claims' document (claims.json) as parts of an HTML page. Pure; whatever is taken from the document is checked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any

from figures.claims.tables import by_place, effect_text
from figures.claims.verdicts import ClaimVerdict, Row
from figures.results.fields import NUMBER, TRUTH, WHOLE, Check, or_null, take

FILE = "claims.json"
COLUMNS = ("claim", "source or role", "verdict", "effect [95 % interval]", "p (smallest)", "n", "scope")
_TEXT = Check(lambda v: isinstance(v, str), "a text")
_MAYBE, _NUMBER = or_null(_TEXT), or_null(NUMBER)
_LIST = Check(lambda v: isinstance(v, list), "a list")
_CLAIM = {"id": _TEXT, "claim": _TEXT, "source": _TEXT, "study": _MAYBE, "scope": _TEXT, "verdict": _TEXT,
          "control": _MAYBE, "rows": _LIST}  # fmt: skip
_CLAIM_EXTRA = {"short": _TEXT, "variation": _MAYBE, "preset": _MAYBE, "dataset": _MAYBE, "common": _TEXT}
_ROW = {"name": _TEXT, "effect": _NUMBER, "low": _NUMBER, "high": _NUMBER, "n": WHOLE, "unit": _TEXT, "p": _NUMBER,
        "p_min": _NUMBER, "verdict": _TEXT, "diverged": WHOLE, "role": _TEXT, "scope": _TEXT,
        "command": _TEXT}  # fmt: skip
_ROW_EXTRA = {"missing": _LIST, "note": _TEXT, "signed": TRUTH, "against": NUMBER, "label": _TEXT, "seeds": _LIST}


def verdicts_of(document: Mapping[str, Any]) -> list[ClaimVerdict]:
    """The verdicts that a claims document holds.

    Raises
    ------
    ResultError : which field is not what it must be.
    """
    return [_verdict(claim, f"claims.{i}") for i, claim in enumerate(take(document, {"claims": _LIST}, FILE)["claims"])]


def _verdict(claim: Mapping, within: str) -> ClaimVerdict:
    found = _fields(claim, _CLAIM, _CLAIM_EXTRA, within)
    rows = [Row(**_fields(row, _ROW, _ROW_EXTRA, f"{within}.rows.{i}")) for i, row in enumerate(found["rows"])]
    known = {field.name for field in fields(ClaimVerdict)}
    return ClaimVerdict(**{name: value for name, value in found.items() if name in known} | {"rows": tuple(rows)})


def _fields(data: Any, always: Mapping[str, Check], extra: Mapping[str, Check], within: str) -> dict:
    found = take(data, always, FILE, within)
    return found | take(data, {name: check for name, check in extra.items() if name in data}, FILE, within)


def glance(verdicts: Sequence[ClaimVerdict]) -> dict[str, list[str]]:
    """Verdict -> the claims that have it, once for each study; the verdict against training length beside a claim."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        beside = f" (against training length: {verdict.control})" if verdict.control else ""
        found.setdefault(verdict.verdict, []).append(verdict.id + beside)
    return found


def claims_tables(verdicts: Sequence[ClaimVerdict], grid: Callable[[Sequence[str], str], str]) -> str:
    """A table for each place that claims were judged on; `grid` makes one from its columns and rows."""
    return "".join(
        f"<h3>{escape(place)}</h3>{grid(COLUMNS, ''.join(map(_claim_rows, group)))}"
        for place, group in by_place(verdicts).items()
    )


def _claim_rows(verdict: ClaimVerdict) -> str:
    """A claim and its rows: the effects that decide it, its controls, and what stands beside it."""
    beside = f"; against training length: {verdict.control}" if verdict.control else ""
    head = [verdict.source, f"{verdict.verdict}{beside}", "", "", "", verdict.scope]
    return _line(f"{verdict.id} {verdict.claim}", head, "claim") + "".join(map(_row, verdict.rows))


def _row(row: Row) -> str:
    p = "" if row.p is None else f"{row.p:.3g} ({row.p_min:.3g})" if row.p_min is not None else f"{row.p:.3g}"
    left_out = [f"{row.diverged} diverged, left out"] if row.diverged else []
    left_out += [f"seeds not complete: {' '.join(map(str, row.missing))}"] if row.missing else []
    scope = "; ".join(filter(None, [row.scope, *left_out, row.note]))
    role = "decides" if row.role == "effect" else row.role
    return _line(row.name, [role, row.verdict, effect_text(row), p, row.n or "", scope], "part")


def _line(name: str, cells: Iterable[Any], kind: str) -> str:
    inner = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
    return f'<tr class="{kind}"><th scope="row">{escape(name)}</th>{inner}</tr>'
