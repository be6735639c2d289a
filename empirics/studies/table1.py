"""Table 1: every setting of every preset with its source, in three formats."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from empirics.choices import check_choice
from empirics.config import SCHEMA, RunConfig
from empirics.studies.presets import PRESETS, Preset

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
_OWN = ("augmentation", "seeds", "arms", "sweep_on")
_NOTE = "The summary of the paper states no hyper-parameter: most settings come from published code or are ours."


@dataclass(frozen=True)
class Cell:
    """One entry of the table.

    Args:
        preset: key of `PRESETS`.
        setting: a field of `RunConfig`, or another property of the code or the preset.
        value: the preset's value; None if the preset has no such setting.
        source: `summary`, `code: NAME` or `ours` (chosen by this project).
    """

    preset: str
    setting: str
    value: Any
    source: str

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


def cells(presets: Mapping[str, Preset] = PRESETS) -> list[Cell]:
    """Every entry of Table 1, ordered by setting and then by preset; smoke runs are left out."""
    presets = {name: preset for name, preset in presets.items() if not preset.smoke}
    settings = dict.fromkeys(name for preset in presets.values() for name in preset.settings)
    names = dict.fromkeys([*settings, *_COMMON, *_FIXED, *_OWN])
    return [_cell(name, preset, setting) for setting in names for name, preset in presets.items()]


def _cell(name: str, preset: Preset, setting: str) -> Cell:
    from empirics.data.datasets import DATASETS

    own = {"seeds": tuple(preset.seeds), "arms": tuple(preset.arms), "sweep_on": dict(preset.sweep_on)}
    own["augmentation"] = DATASETS[preset.settings["dataset"]].augmentation
    value = {**_COMMON, **_FIXED, **_ALL, **own, **preset.settings}.get(setting)
    return Cell(name, setting, value, preset.sources.get(setting, "ours"))


def table1(form: str = "markdown", presets: Mapping[str, Preset] = PRESETS) -> str:
    """Table 1 in one of `TABLE_FORMATS`.

    Raises:
        ConfigError: an unknown format.
    """
    return TABLE_FORMATS[check_choice(form, TABLE_FORMATS, "format")][1](cells(presets))


def _rows(entries: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Setting -> its cells, one for each preset, in the same order for all settings."""
    rows: dict[str, list[Cell]] = {}
    for cell in entries:
        rows.setdefault(cell.setting, []).append(cell)
    return rows


def _presets(entries: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.preset for cell in entries))


def markdown(entries: Sequence[Cell]) -> str:
    """A Markdown table: one row per setting, each value with its source in brackets."""
    presets = _presets(entries)
    rows = [["setting", *presets], ["---"] * (len(presets) + 1)]
    for setting, row in _rows(entries).items():
        rows.append([setting, *("-" if cell.text == "-" else f"{cell.text} ({cell.source})" for cell in row)])
    return "\n".join("| " + " | ".join(_one_cell(text) for text in row) + " |" for row in rows)


def _one_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_json(entries: Sequence[Cell]) -> str:
    """A JSON document of the table.

    It holds `settings` in the table's order, and in `presets` the `value`, `text` and `source` of each setting.
    """
    found: dict[str, dict[str, Any]] = {preset: {} for preset in _presets(entries)}
    for cell in entries:
        found[cell.preset][cell.setting] = {"value": cell.value, "text": cell.text, "source": cell.source}
    document = {"schema": SCHEMA, "kind": "table1", "note": _NOTE, "settings": list(_rows(entries)), "presets": found}
    return json.dumps(document, indent=1, allow_nan=False)


def latex(entries: Sequence[Cell]) -> str:
    """A LaTeX table (package booktabs).

    Each entry has a mark for its source; a value that all presets share is written once.
    """
    presets, rows = _presets(entries), _rows(entries)
    marks = {source: "abcdefghijklmnopqrstuvwxyz"[i] for i, source in enumerate(_sources(entries))}
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
        f"\\caption{{Settings of every preset. {_NOTE} Sources: {_legend(marks)}.}}",
        f"\\begin{{tabular}}{{l{'l' * len(presets)}}}",
        "\\toprule",
        " & ".join(["setting", *map(latex_text, presets)]) + " \\\\",
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
