"""The verdicts as a JSON document and as Markdown tables. Pure: verdicts in, text out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from msgspec import Struct

from figures.claims.family import PRIMARY, multiplicity
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    INTERIM,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    REVERSED,
    ClaimVerdict,
    Row,
)
from figures.results.datasets import facts_unstated
from figures.results.fields import SCHEMA, convert
from figures.results.variants import (
    LAST_EPOCH,
    OURS_PROTOCOL,
    SELECTED_ON_TEST_SET,
    protocol_mark,
    with_protocol,
)

EVIDENCE = "paper_repro.py figures"  # the command that makes results on which claims can be judged


def claims_json(verdicts: list[ClaimVerdict], extra: Mapping | None = None) -> bytes:
    """The verdicts as JSON text (UTF-8), every row with all its fields; `extra` fields go first."""
    claims = [
        asdict(verdict) | {"rows": [row.fields | {"decides": row.decides} for row in verdict.rows]}
        for verdict in verdicts
    ]
    document = {"schema": SCHEMA, "kind": "claims", **(extra or {}), "claims": claims}
    return (json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def smoke_note(studies: Iterable[str], command: str = f"`{EVIDENCE}`") -> str:
    """Which studies are smoke runs, what that means, and what makes evidence; "" for none."""
    names = ", ".join(studies)
    if not names:
        return ""
    return (
        f"These results hold a smoke run ({names}). A smoke run shows that everything works. It is no evidence, and "
        f"no claim is judged on it: {command} runs what can be judged. This concerns networks only: results of the "
        "neuron are the same in every run."
    )


def selection_note(accuracy: str) -> str:
    """That the verdicts are drawn from the best accuracies, and what that means; "" for the last epoch's."""
    if accuracy == LAST_EPOCH:
        return ""
    return f"{SELECTED_ON_TEST_SET} The claims, and their effects, were fixed for the accuracy of the last epoch."


def claims_markdown(
    verdicts: list[ClaimVerdict],
    problems=(),
    smoke_runs: Iterable[str] = (),
    protocol: str = OURS_PROTOCOL,
    accuracy: str = LAST_EPOCH,
) -> str:
    """The verdicts as Markdown: a table for each group of `by_place`.

    Control and other rows are beneath each claim. Every row names its effect, 95 % interval, n and scope; the commands
    for what has not been run are at the end. `smoke_runs` names the studies that are not judged because they are
    smoke runs. `protocol` is that of all studies; where it is not ours, the title names it. `accuracy`: which one the
    verdicts were drawn from.
    """
    heading = ", ".join(filter(None, [_HEADING, protocol_mark(protocol)]))
    smoke = smoke_note(smoke_runs, f"`{with_protocol(EVIDENCE, protocol)}`")
    opening = filter(None, [heading, _protocol_note(protocol), _INTRODUCTION, selection_note(accuracy), smoke])
    parts = [*opening, *_overview(verdicts)]
    parts += [_section(title, group) for title, group in by_place(verdicts).items()]
    commands = _commands(verdicts)
    if commands:
        parts.append("## Commands for the rows that are not run\n\n" + "\n".join(commands))
    if problems:
        lines = "\n".join(f"- {problem.message}" for problem in problems)
        parts.append("## Files that could not be trusted (nothing in them was used)\n\n" + lines)
    return "\n\n".join(parts) + "\n"


def by_place(verdicts: Sequence[ClaimVerdict]) -> dict[str, list[ClaimVerdict]]:
    """The verdicts grouped by what they are judged on.

    Each group has a heading: theory, each study, each preset's sweeps.
    """
    groups: dict[str, list[ClaimVerdict]] = {}
    for verdict in sorted(verdicts, key=lambda v: (v.study is not None) + 2 * (v.sweep is not None)):
        groups.setdefault(_place(verdict), []).append(verdict)
    return groups


def _place(verdict: ClaimVerdict) -> str:
    if verdict.study:
        return f"Study {verdict.study}: preset {verdict.preset}, {verdict.dataset}"
    if verdict.sweep:
        changes = f" (common settings: {verdict.shared_overrides})" if verdict.shared_overrides else ""
        return f"Sweeps of preset {verdict.preset}{changes}, {verdict.dataset}"
    return "Theory, and claims without results of networks"


def _protocol_note(protocol: str) -> str:
    """Whose settings the studies have, where they are not ours; "" for ours."""
    if not protocol_mark(protocol):
        return ""
    return (
        f"Every study here is trained under the protocol *{protocol}*: warm-up once, IMP rewound to the weights after "
        "it, as the code of the paper's authors does (Table 1 has each setting). Claims on the neuron alone have no "
        "protocol, and are in CLAIMS.md."
    )


_HEADING = "# Claims and verdicts"
_INTRODUCTION = """\
Verdict: *reproduced* where the 95 % interval lies wholly above 0; *not reproduced* where it lies wholly below the
smallest effect that matters (.2 accuracy points; .02 for probabilities, shares, levels and switches), *(reversed)*
where wholly below 0; otherwise *inconclusive*. No verdict under 4 seeds. Network effects are paired by seed
(Student-t); p is the exact sign-flip permutation p, in brackets the smallest that this n can reach. High-sparsity
accuracy: mean test accuracy over the levels of density at most .03. A verdict holds for its scope only: a small data
set says nothing about a large one. Rows marked "control" compare with IMP's rewinding trained for as many epochs as
LRR's weights have seen; the sweeps have no such control. A claim on a sweep needs every value of it. A row on accuracy
of which no arm is clearly better than a guess (at most 1.5 times the share of right guesses) is *inconclusive (at
chance)*. An effect compared with a threshold (the mask's .98, -.2 accuracy points in claim 15a) has no reverse: its
interval is compared with the threshold in place of 0. With 4 seeds a strong effect whose arms are exchanged at random
is called reproduced in 1 of 16 (6.2 %), with 8 seeds in 3.5 %."""

_COLUMNS = (
    "| claim | source | verdict | effect [95 % interval] | p (smallest) | n | scope |\n|---|---|---|---|---|---|---|"
)


def family_note(verdicts: Sequence[ClaimVerdict]) -> str:
    """What the verdicts on a study with a plan are worth; "" for other verdicts."""
    if not any(row.planned for verdict in verdicts for row in verdict.rows):
        return ""
    primary = [verdict.id for verdict in verdicts if verdict.id in PRIMARY and _is_primary(verdict)]
    words = (
        f"Primary claims, stated before the data: {', '.join(primary)}; all others are secondary."
        if primary
        else ("All claims of this study are secondary.")
    )
    return (
        f"{words} The number of seeds of each arm was fixed before the data; below it a row is *interim*, and has no "
        f"verdict. {multiplicity(verdicts).text}"
    )


def _is_primary(verdict: ClaimVerdict) -> bool:
    return any("primary claim" in row.note for row in verdict.rows if row.decides)


@dataclass(frozen=True)
class SideBySide:
    """The final verdicts on studies of several data sets, a column for each study.

    `columns` are the data sets' titles. `rows`: claim -> verdict in each column, "" where there is none that is final.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]

    @property
    def disagreements(self) -> list[str]:
        """The claims that are reproduced on one data set and not on another, with the verdicts, in words."""
        return [self._words(number) for number, words in self.rows.items() if _opposite(words)]

    @property
    def differences(self) -> list[str]:
        """The other claims whose verdicts differ: one is inconclusive, or not reproduced in another way."""
        found = []
        for number, words in self.rows.items():
            if len({word for word in words if word}) > 1 and not _opposite(words):
                found.append(self._words(number))
        return found

    @property
    def sentences(self) -> str:
        """Where the data sets disagree."""
        if not any(sum(map(bool, words)) > 1 for words in self.rows.values()):
            return "No claim has a final verdict on two data sets yet, so they neither agree nor disagree."
        disagree = "; ".join(self.disagreements)
        differ = "; ".join(self.differences)
        found = f"The data sets disagree on claim {disagree}." if disagree else "The data sets disagree on no claim."
        return found + (f" Their verdicts differ, without a contradiction, on claim {differ}." if differ else "")

    def _words(self, number: str) -> str:
        parts = (f"{word} on {name}" for name, word in zip(self.columns, self.rows[number], strict=True) if word)
        return f"{number} ({', '.join(parts)})"


def _opposite(words: Sequence[str]) -> bool:
    return REPRODUCED in words and bool({NOT_REPRODUCED, REVERSED} & set(words))


def side_by_side(verdicts: Sequence[ClaimVerdict]) -> SideBySide | None:
    """The verdicts by claim and study; None where all studies are of one data set."""
    studies = {v.study: v for v in verdicts if v.study and v.dataset}
    if len({v.dataset for v in studies.values()}) < 2:
        return None
    titles = [facts_unstated(v.dataset)[0] for v in studies.values()]
    columns = tuple(
        title if titles.count(title) == 1 else f"{title} ({v.preset})"
        for title, v in zip(titles, studies.values(), strict=True)
    )
    found = {(v.id, v.study): final_verdict(v) for v in verdicts if v.study}
    numbers = dict.fromkeys(v.id for v in verdicts if v.study)
    return SideBySide(columns, {n: tuple(found.get((n, study), "") for study in studies) for n in numbers})


def final_verdict(verdict: ClaimVerdict) -> str:
    """A verdict that will not change; "" for one that is interim or was not run."""
    return "" if verdict.verdict.startswith(INTERIM) or verdict.verdict == NOT_RUN else verdict.verdict


def _overview(verdicts: Sequence[ClaimVerdict]) -> list[str]:
    """The part of the Markdown text that sets the data sets side by side, if there are several."""
    found = side_by_side(verdicts)
    if found is None:
        return []
    head = f"| claim | {' | '.join(found.columns)} |\n|---|{'---|' * len(found.columns)}"
    lines = [f"| {number} | {' | '.join(words)} |" for number, words in found.rows.items()]
    return ["\n".join([f"## {SIDE_BY_SIDE}", "", found.sentences, "", head, *lines])]


SIDE_BY_SIDE = "Data sets side by side"


def _section(title: str, verdicts: list[ClaimVerdict]) -> str:
    note = family_note(verdicts)
    lines = [f"## {title}", "", *([note, ""] if note else []), _COLUMNS]
    for verdict in verdicts:
        deciding = [row for row in verdict.rows if row.decides]
        lines.append(_head(verdict, deciding))
        lines += [_under(row) for row in verdict.rows if row is not deciding[0] or len(deciding) > 1]
    return "\n".join(lines)


def _head(verdict: ClaimVerdict, deciding: list[Row]) -> str:
    """The claim's own line of the table.

    A claim of several parts shows its numbers in the lines of its parts; its own line gives the number of parts and the
    range of n.
    """
    counts = sorted({row.n for row in deciding})
    n = " to ".join(map(str, counts if len(counts) < 3 else (counts[0], counts[-1])))
    parts = f"| its {len(deciding)} parts below | | {n} | {verdict.scope} |"
    cells = _cells(deciding[0]) if len(deciding) == 1 else parts
    beside = f"; against training length: **{verdict.control}**" if verdict.control else ""
    return f"| **{verdict.id}** {verdict.claim} | {verdict.source} | **{verdict.verdict}**{beside} {cells}"


def _under(row: Row) -> str:
    role = {"effect": "part", "control": "control", "secondary": "secondary"}[row.role]
    return f"| &nbsp;&nbsp;{row.name} | {role} | {row.verdict} {_cells(row)}"


def _cells(row: Row) -> str:
    scope = scope_text(row).replace("|", "/").replace("\n", " ")
    return f"| {effect_text(row)} | {p_text(row)} | {row.n or ''} | {scope} |"


def p_text(row: Row) -> str:
    """A row's p, and in brackets the smallest that its n can reach; empty where there is no test."""
    if row.p is None:
        return ""
    return f"{row.p:.3g}" if row.p_min is None else f"{row.p:.3g} ({row.p_min:.3g})"


def scope_text(row: Row) -> str:
    """What a row was measured on, which runs it lacks, and its note."""
    parts = [row.scope]
    if row.diverged:
        parts.append(f"{row.diverged} diverged, left out")
    if row.missing:
        parts.append(f"seeds not complete: {' '.join(map(str, row.missing))}")
    parts.append(row.note)
    return "; ".join(filter(None, parts))


def effect_text(row: Row) -> str:
    """A row's effect as text: value, interval and unit.

    Differences have a sign; the text is empty where nothing was measured. Digits are added until the two ends of an
    interval differ and no end that is not 0 looks like 0.
    """
    if row.effect is None:
        return ""
    usual = 2 if row.unit == ACCURACY_POINTS else 3
    if row.low is None:
        return f"{_number(row.effect, usual, usual, row.signed)} {row.unit}"
    digits = usual
    while digits < _MOST_DIGITS and _misleads(row.low, row.high, digits):
        digits += 1
    digits += digits > usual  # one more digit: two significant digits where one would be enough
    value = _number(row.effect, usual if row.effect == round(row.effect) else digits, usual, row.signed)
    low, high = (_number(end, digits, usual, row.signed) for end in (row.low, row.high))
    return f"{value} [{low}, {high}] {row.unit}"


def format_number(row: Row) -> str:
    """A row's effect alone, without interval and unit."""
    usual = 2 if row.unit == ACCURACY_POINTS else 3
    return _number(row.effect, usual, usual, row.signed)


_MOST_DIGITS = 12


def _misleads(low: float, high: float, digits: int) -> bool:
    a = round(low, digits)
    b = round(high, digits)
    return (low != high and a == b) or (low != 0 and a == 0) or (high != 0 and b == 0)


def _number(value: float, digits: int, usual: int, signed: bool) -> str:
    """A number with `digits` decimals; a whole number has none if `digits` exceeds the `usual` number."""
    if digits > usual and value == round(value):
        return f"{value:{'+' if signed and value else ''}.0f}"
    return f"{value:{'+' if signed else ''}.{digits}f}"


def _commands(verdicts: list[ClaimVerdict]) -> list[str]:
    wanted: dict[str, list[str]] = {}
    for verdict in verdicts:
        for row in verdict.rows:
            if row.verdict == NOT_RUN and verdict.id not in wanted.setdefault(row.command, []):
                wanted[row.command].append(verdict.id)
    return [f"- `{command}`: claims {', '.join(ids)}" for command, ids in wanted.items()]


CLAIMS_FILE = "claims.json"


class _Document(Struct, frozen=True):
    claims: list[ClaimVerdict]


def verdicts_of(document: Mapping[str, Any]) -> list[ClaimVerdict]:
    """The verdicts in a claims document.

    Raises
    ------
    ResultError : a field is missing or invalid; the message names it.
    """
    return convert(document, _Document, CLAIMS_FILE).claims


def glance(verdicts: Sequence[ClaimVerdict]) -> dict[str, list[str]]:
    """Verdict -> the claims that have it, one entry for each study.

    An entry also names the claim's verdict against training length, if it has one.
    """
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        beside = f" (against training length: {verdict.control})" if verdict.control else ""
        found.setdefault(verdict.verdict, []).append(verdict.id + beside)
    return found
