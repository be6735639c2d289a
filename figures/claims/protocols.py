"""Which verdicts turn with the protocol: claims judged under both, on the same seeds. Pure.

Where a verdict, or the sign of an effect, differs, our protocol is taken with one setting of the authors' at a time
(the sweep `protocol`): a setting with which the effect's verdict (or sign) becomes the authors' is named. The sweep has
the arms imp and lrr alone, so a claim that needs other arms is not attributed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest

from figures.claims.registry import CLAIMS, evaluate
from figures.claims.tables import effect_text
from figures.claims.verdicts import INCONCLUSIVE, NOT_RUN, ClaimVerdict, Row, not_run
from figures.results.fields import SCHEMA
from figures.results.network import Records, Study, StudyResults
from figures.results.variants import AUTHORS_PROTOCOL, OURS_PROTOCOL, plain_preset

PROTOCOL_SWEEP = "protocol"
PROTOCOLS_COMMAND = "paper_repro.py protocols"
VERDICT = "verdict"
SIGN = "sign"
NOT_ATTRIBUTED = "not attributed"
_SWITCHES = {
    "rewind_epoch": "rewind point",
    "initial_epoch": "rewind point",
    "warmup": "warm-up",
    "lr_floor": "floor",
    "classifier_bias": "bias",
}  # setting -> its name in the table, in the table's order


@dataclass(frozen=True)
class Switch:
    """An effect under our protocol with one setting of the authors'.

    `settings` is that setting, `rewind_epoch=1`; `turns`: with it the verdict (or sign) is the authors'.
    """

    name: str
    settings: str
    row: Row
    turns: bool


@dataclass(frozen=True)
class ProtocolRow:
    """One deciding effect of a claim under both protocols, on one preset and data set.

    `ours` and `authors` are the effect's rows, `verdicts` the verdicts of the claim (of this part, where it has
    several) in the same order. `differs` holds "verdict" or "sign" where these differ; then `switches` are the effects
    with one setting of the authors' at a time.
    """

    claim: str
    short: str
    label: str
    preset: str
    dataset: str
    shared_overrides: str
    ours: Row
    authors: Row
    verdicts: tuple[str, str]
    differs: tuple[str, ...] = ()
    switches: tuple[Switch, ...] = ()

    @property
    def turned_by(self) -> str:
        """The settings that turn it; "" where nothing differs."""
        names = ", ".join(switch.name for switch in self.switches if switch.turns)
        return (names or NOT_ATTRIBUTED) if self.differs else ""


def claims_under_both() -> list[str]:
    """The claims that are judged under both protocols, by number."""
    return [number for number, claim in CLAIMS.items() if claim.both_protocols]


def protocol_rows(records: Records) -> list[ProtocolRow]:
    """The claims under both protocols, from records that hold the studies of both.

    Smoke runs are left out. A preset's seeds are those that its studies of both protocols have: with more seeds a
    verdict may turn by itself.
    """
    records = records.judged
    ours, authors = (records.of_protocol(protocol) for protocol in (OURS_PROTOCOL, AUTHORS_PROTOCOL))
    ours, authors = _on_seeds_of(ours, authors), _on_seeds_of(authors, ours)
    verdicts = [_by_place(evaluate(part, claims_under_both())) for part in (ours, authors)]
    found = []
    for place in dict.fromkeys([*verdicts[0], *verdicts[1]]):
        found += _rows_of(verdicts[0].get(place), verdicts[1].get(place), ours)
    return found


def _on_seeds_of(records: Records, other: Records) -> Records:
    """The records with the seeds that the other's studies of the same preset and data set have too.

    A preset that the other has not is left as it is.
    """
    seeds: dict[tuple, set[int]] = {}
    for results in (*other.studies, *other.sweeps):
        seeds.setdefault(_place_of(results.study), set()).update(results.study.seeds)

    def narrowed(results: StudyResults) -> StudyResults:
        study = results.study
        shared = seeds.get(_place_of(study), set(study.seeds))
        return replace(results, study=replace(study, seeds=tuple(seed for seed in study.seeds if seed in shared)))

    return replace(records, studies=tuple(map(narrowed, records.studies)), sweeps=tuple(map(narrowed, records.sweeps)))


def _place_of(study: Study) -> tuple:
    return study.base, study.dataset


def _by_place(verdicts: Iterable[ClaimVerdict]) -> dict[tuple, ClaimVerdict]:
    """The verdicts by claim and by what they are judged on, without those that have no results."""
    return {
        (v.id, plain_preset(v.preset), v.dataset, v.shared_overrides): v for v in verdicts if v.preset and v.dataset
    }


def _rows_of(ours: ClaimVerdict | None, authors: ClaimVerdict | None, records: Records) -> list[ProtocolRow]:
    """A row for each deciding effect of a claim.

    `records` : those of our protocol, with the sweep of single settings.
    """
    verdict = ours or authors
    parts = [[row for row in v.rows if row.decides] if v else [] for v in (ours, authors)]
    single = max(map(len, parts)) == 1
    found = []
    for part, rows in enumerate(zip_longest(*parts)):
        there = next(row for row in rows if row)
        mine, theirs = (row or _absent(there) for row in rows)
        whole = [v.verdict if single and v else None for v in (ours, authors)]
        shown = (whole[0] or mine.verdict, whole[1] or theirs.verdict)
        row = ProtocolRow(
            verdict.id,
            verdict.short,
            "" if single else there.label,
            plain_preset(verdict.preset),
            verdict.dataset,
            verdict.shared_overrides,
            mine,
            theirs,
            shown,
            _differing(mine, theirs, shown),
        )
        found.append(replace(row, switches=_switches(row, part, records)) if row.differs else row)
    return found


def _absent(row: Row) -> Row:
    """The same effect under the protocol that has not been run."""
    return replace(not_run(row.name, row.unit, row.role, row.scope, PROTOCOLS_COMMAND), label=row.label)


def _differing(ours: Row, authors: Row, verdicts: Sequence[str]) -> tuple[str, ...]:
    """What differs between the two protocols; nothing where either has no effect."""
    if ours.effect is None or authors.effect is None:
        return ()
    turned = [VERDICT] if _kind(verdicts[0]) != _kind(verdicts[1]) else []
    return (*turned, *([SIGN] if ours.effect * authors.effect < 0 else []))


def _kind(verdict: str) -> str:
    """A verdict without the reason why it is inconclusive."""
    return INCONCLUSIVE if verdict.startswith(INCONCLUSIVE) else verdict


def _switches(row: ProtocolRow, part: int, records: Records) -> tuple[Switch, ...]:
    """The effect in each study of the sweep `protocol`, where it can be measured.

    The studies are of the same preset and data set.
    """
    found = []
    for results in records.sweeps:
        study = results.study
        if study.swept != PROTOCOL_SWEEP or _place_of(study) != (row.preset, row.dataset):
            continue
        changed = {name: value for name, value in study.overrides.items() if name not in study.shared_overrides}
        (verdict,) = evaluate(replace(records, studies=(results,), sweeps=()), [row.claim])
        deciding = [each for each in verdict.rows if each.decides]
        if part < len(deciding) and deciding[part].effect is not None:
            found.append((changed, deciding[part]))
    order = {name: place for place, name in enumerate(_SWITCHES)}
    found.sort(key=lambda one: [order.get(name, len(order)) for name in one[0]])
    return tuple(
        Switch(
            ", ".join(dict.fromkeys(_SWITCHES.get(name, name) for name in changed)),
            ", ".join(f"{name}={value}" for name, value in changed.items()),
            measured,
            _turns(measured, row),
        )
        for changed, measured in found
    )


def _turns(measured: Row, row: ProtocolRow) -> bool:
    """Whether an effect has the authors' verdict, or where only the sign differs the authors' sign."""
    kinds = [_kind(one.verdict) for one in (row.ours, row.authors, measured)]
    if kinds[0] != kinds[1]:
        return kinds[2] == kinds[1]
    return SIGN in row.differs and measured.effect * row.authors.effect > 0


# ---------------------------------------------------------------------------------------------------------- the table


def protocols_json(rows: Sequence[ProtocolRow], extra: Mapping) -> bytes:
    """The rows as JSON text (UTF-8), with all fields; `extra` fields go first."""
    content = [asdict(row) | {"turned_by": row.turned_by} for row in rows]
    document = {"schema": SCHEMA, "kind": "protocols", "title": "Verdicts and the protocol", **extra, "rows": content}
    return (json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


_INTRODUCTION = """# Which verdicts turn with the protocol

*Ours* rewinds IMP to initialisation and warms up at every level. *Authors'* follows the code of the paper's authors:
warm-up once, IMP rewound to the weights after it, a floor of the learning rate, a classifier without bias (Table 1 has
every setting). Both are judged on the seeds that both have, by the rule of CLAIMS.md: effects with 95 % intervals,
accuracy in points of high-sparsity accuracy. Where a verdict or the sign of an effect differs, our protocol was run
with one setting of the authors' at a time, with IMP and LRR. A setting is named where with it alone the verdict (or,
where only the sign differs, the sign) is the authors'; otherwise the difference is *not attributed*. The sign of an
effect whose interval spans 0 is not certain. A verdict holds for its data set and network only."""
_COLUMNS = (
    "| claim | ours | verdict | n | authors' | verdict | n | differs | turned by |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
_SWITCH_COLUMNS = (
    "| claim | our protocol with the authors' | effect | verdict | n | turns it |\n|---|---|---|---|---|---|"
)


def protocols_markdown(rows: Sequence[ProtocolRow]) -> str:
    """The rows as Markdown: a table for each preset and data set, and one of single settings."""
    parts = [_INTRODUCTION]
    for title, group in by_scope(rows).items():
        parts.append("\n".join([f"## {title}", "", _COLUMNS, *map(_line, group)]))
        switches = [_switch_line(row, switch) for row in group for switch in row.switches]
        if switches:
            parts.append("\n".join(["One setting at a time:", "", _SWITCH_COLUMNS, *switches]))
    if not rows or any(NOT_RUN in row.verdicts for row in rows):
        parts.append(f"What is not run is run by `{PROTOCOLS_COMMAND}`.")
    return "\n\n".join(parts) + "\n"


def by_scope(rows: Sequence[ProtocolRow]) -> dict[str, list[ProtocolRow]]:
    """The rows under a heading for each preset, with what a sweep changes in it, and data set."""
    groups: dict[str, list[ProtocolRow]] = {}
    for row in rows:
        changes = f", {row.shared_overrides}" if row.shared_overrides else ""
        groups.setdefault(f"Preset {row.preset}{changes}, {row.dataset}", []).append(row)
    return groups


def _line(row: ProtocolRow) -> str:
    sides = [
        f"{effect_text(side)} | {verdict} | {side.n or ''}"
        for side, verdict in zip((row.ours, row.authors), row.verdicts, strict=True)
    ]
    return f"| {_title(row)} | {' | '.join(sides)} | {' and '.join(row.differs)} | {row.turned_by} |"


def _title(row: ProtocolRow) -> str:
    return f"**{row.claim}** {row.short}" + (f": {row.label}" if row.label else "")


def _switch_line(row: ProtocolRow, switch: Switch) -> str:
    measured = f"{effect_text(switch.row)} | {switch.row.verdict} | {switch.row.n}"
    return f"| {_title(row)} | {switch.name} ({switch.settings}) | {measured} | {'yes' if switch.turns else 'no'} |"
