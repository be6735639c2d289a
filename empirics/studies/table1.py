"""Table 1: every setting of every preset under every protocol with its source, in three formats."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from empirics.choices import check_choice
from empirics.config import SCHEMA, RunConfig
from empirics.studies.presets import PRESETS, Preset
from empirics.studies.protocols import LEFT_OUT, OURS, PROTOCOLS, arms_under, settings_under, source_of

# settings of training that no preset may state, with their defaults; and what chooses masks
_TRAINING = [f.name for f in fields(RunConfig) if f.metadata["option"] and f.metadata["level_0"](RunConfig())]
_DEFAULTS = {name: getattr(RunConfig(), name) for name in (*_TRAINING, "criterion", "densities")}
_COMMON = {name: value for name, value in _DEFAULTS.items() if value != ()}  # no milestones: no such setting
# facts that are fixed in the code and not settings
_FIXED = {"optimizer": "SGD", "initialisation": "Kaiming-normal, fan-in"}
_ALL = {
    "images_per_class": "all",
    "validation_per_class": "none",
    "image_size": "native",
    "micro_batch": "whole batch",
}
STREAMED = "random resized crop, mirror"  # augmentation of images that are streamed and cropped to `image_size`
_OWN = ("augmentation", "accuracy", "seeds", "arms", "sweep_on")
_NOTE = (
    "The summary of the paper states no hyper-parameter: settings come from published code, or are ours. Unknown: the "
    "authors' code does not say, and the value shown is ours."
)


@dataclass(frozen=True)
class Cell:
    """One entry of the table.

    Args:
        preset: key of `PRESETS`.
        setting: a field of `RunConfig`, or another property of the code or the preset.
        value: the preset's value; None if the preset has no such setting.
        source: `summary`, `code: NAME`, `ours` (chosen by this project) or `unknown`.
        protocol: key of `PROTOCOLS`.
    """

    preset: str
    setting: str
    value: Any
    source: str
    protocol: str = OURS

    @property
    def column(self) -> str:
        """The heading of its column."""
        return self.preset if self.protocol == OURS else f"{self.preset}, {self.protocol}"

    @property
    def text(self) -> str:
        """The value as text; for arms their number, as `list` shows their names."""
        if self.value is None or self.value == {}:
            return "-"
        if self.setting == "arms":
            return str(len(self.value))
        if isinstance(self.value, Mapping):
            return ", ".join(f"{name} {value}" for name, value in self.value.items())
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return ", ".join(f"{v:.3g}" for v in self.value)
        return str(self.value)


def cells(presets: Mapping[str, Preset] = PRESETS, protocols: Sequence[str] = tuple(PROTOCOLS)) -> list[Cell]:
    """Every entry of Table 1, ordered by setting, preset and protocol; smoke runs are left out."""
    columns = [(name, preset, p) for name, preset in presets.items() if not preset.smoke for p in protocols]
    settings = dict.fromkeys(name for _, preset, p in columns for name in settings_under(p, preset))
    names = dict.fromkeys([*settings, *_COMMON, *_FIXED, *_OWN])
    return [_cell(*column, setting) for setting in names for column in columns]


def _cell(name: str, preset: Preset, protocol: str, setting: str) -> Cell:
    from empirics.data.datasets import DATASETS

    settings = settings_under(protocol, preset)
    own: dict[str, Any] = {
        "seeds": tuple(preset.seeds),
        "arms": arms_under(protocol, preset),
        "sweep_on": dict(preset.sweep_on),
        "augmentation": STREAMED if settings.get("image_size") else DATASETS[settings["dataset"]].augmentation,
        "accuracy": "last epoch",
    }
    value = {**_COMMON, **_FIXED, **_ALL, **own, **settings}.get(setting)
    return Cell(name, setting, value, source_of(protocol, preset, setting), protocol)


def table1(form: str = "markdown", presets: Mapping[str, Preset] = PRESETS, protocol: str | None = None) -> str:
    """Table 1 in one of `TABLE_FORMATS`.

    Args:
        form: key of `TABLE_FORMATS`.
        presets: name -> preset.
        protocol: key of `PROTOCOLS`; None: a column for each.

    Raises:
        ConfigError: an unknown format or protocol.
    """
    wanted = tuple(PROTOCOLS) if protocol is None else (check_choice(protocol, PROTOCOLS, "protocol"),)
    return TABLE_FORMATS[check_choice(form, TABLE_FORMATS, "format")][1](cells(presets, wanted))


def _rows(entries: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Setting -> its cells, one for each column, in the same order for all settings."""
    rows: dict[str, list[Cell]] = {}
    for cell in entries:
        rows.setdefault(cell.setting, []).append(cell)
    return rows


def _columns(entries: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.column for cell in entries))


def _left_out(entries: Sequence[Cell]) -> Mapping[str, str]:
    """What the protocols of these cells leave out, with the reasons."""
    return LEFT_OUT if any(cell.protocol != OURS for cell in entries) else {}


def markdown(entries: Sequence[Cell]) -> str:
    """A Markdown table: one row per setting, values with their sources; then what was left out."""
    columns = _columns(entries)
    rows = [["setting", *columns], ["---"] * (len(columns) + 1)]
    for setting, row in _rows(entries).items():
        rows.append([setting, *("-" if cell.text == "-" else f"{cell.text} ({cell.source})" for cell in row)])
    table = "\n".join("| " + " | ".join(_one_cell(text) for text in row) + " |" for row in rows)
    items = "\n".join(f"- {item}: {reason}." for item, reason in _left_out(entries).items())
    return f"{table}\n\n{_NOTE}\n\nLeft out of the authors' protocol:\n\n{items}" if items else table


def _one_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_json(entries: Sequence[Cell]) -> str:
    """A JSON document of the table.

    It holds `settings` in the table's order, and in `presets` the `value`, `text` and `source` of each setting.
    """
    found: dict[str, dict[str, Any]] = {column: {} for column in _columns(entries)}
    for cell in entries:
        found[cell.column][cell.setting] = {"value": cell.value, "text": cell.text, "source": cell.source}
    document = {"schema": SCHEMA, "kind": "table1", "note": _NOTE, "settings": list(_rows(entries)), "presets": found}
    document["left_out"] = dict(_left_out(entries))
    return json.dumps(document, indent=1, allow_nan=False)


def latex(entries: Sequence[Cell]) -> str:
    """A LaTeX table (package booktabs) for each protocol.

    Each entry has a mark for its source; a value that all presets share is written once.
    """
    protocols = dict.fromkeys(cell.protocol for cell in entries)
    return "\n\n".join(_latex([cell for cell in entries if cell.protocol == protocol]) for protocol in protocols)


def _latex(entries: Sequence[Cell]) -> str:
    columns = _columns(entries)
    rows = _rows(entries)
    marks = {source: "abcdefghijklmnopqrstuvwxyz"[i] for i, source in enumerate(_sources(entries))}
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
        f"\\caption{{Settings of every preset. {_NOTE} Sources: {_legend(marks)}.}}",
        f"\\begin{{tabular}}{{l{'l' * len(columns)}}}",
        "\\toprule",
        " & ".join(["setting", *map(latex_text, columns)]) + " \\\\",
        "\\midrule",
        *(_latex_row(setting, row, marks) for setting, row in rows.items()),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table*}",
    ]
    return "\n".join(lines)


def _sources(entries: Sequence[Cell]) -> list[str]:
    return sorted({cell.source for cell in entries if cell.text != "-"})


def _legend(marks: Mapping[str, str]) -> str:
    return "; ".join(f"\\textsuperscript{{{mark}}} {latex_text(source)}" for source, mark in marks.items())


def _latex_row(setting: str, row: Sequence[Cell], marks: Mapping[str, str]) -> str:
    entries = [_latex_cell(cell, marks) for cell in row]
    if len(row) > 1 and len(set(entries)) == 1:
        entries = [f"\\multicolumn{{{len(row)}}}{{l}}{{{entries[0]}}}"]
    return " & ".join([latex_text(setting), *entries]) + " \\\\"


def _latex_cell(cell: Cell, marks: Mapping[str, str]) -> str:
    return "--" if cell.text == "-" else f"{latex_text(cell.text)}\\textsuperscript{{{marks[cell.source]}}}"


_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex_text(text: str) -> str:
    """Text in which every special character of LaTeX is escaped."""
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _LATEX[found[0]], text)


# format -> (ending of its file, what renders it). A new format: one function and one line.
TABLE_FORMATS: dict[str, tuple[str, Callable[[Sequence[Cell]], str]]] = {
    "markdown": ("md", markdown),
    "latex": ("tex", latex),
    "json": ("json", as_json),
}
