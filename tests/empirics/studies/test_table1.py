"""Table 1 says what the presets say, in three formats that other programs can read."""

import dataclasses
import json
import re
import shutil

import pytest

from empirics.choices import ConfigError
from empirics.config import RunConfig
from empirics.studies import presets
from empirics.studies.protocols import LEFT_OUT, PROTOCOLS
from empirics.studies.table1 import TABLE_FORMATS, Cell, cells, latex, latex_text, markdown, table1
from tests.support.processes import run

PRESETS = {name: preset for name, preset in presets.PRESETS.items() if not preset.smoke}
SOURCE = re.compile(r"summary|ours|code: .+")
AWKWARD = r"50% of a_b & c#1 \x ~ ^ ${}"


def test_every_entry_is_the_presets_own_and_has_a_source():
    found = {(cell.preset, cell.setting): cell for cell in cells(protocols=("ours",))}
    for name, preset in PRESETS.items():
        for setting, value in preset.settings.items():
            assert found[name, setting].value == value
            assert found[name, setting].source == preset.sources.get(setting, "ours")
        assert found[name, "seeds"].value == tuple(preset.seeds) and found[name, "arms"].value == tuple(preset.arms)
        assert found[name, "sweep_on"].value == dict(preset.sweep_on)
    assert all(SOURCE.fullmatch(cell.source) for cell in found.values())
    assert found["quick", "momentum"].value == RunConfig().momentum
    said = "model resnet8, width 16, prune_rate 0.75, levels 4"
    assert found["quick", "sweep_on"].text == said and found["cifar10", "sweep_on"].text == "-"


def test_a_smoke_run_has_no_place_in_table_1():
    assert {cell.preset for cell in cells()} == set(PRESETS) and set(presets.PRESETS) - set(PRESETS) == {"smoke"}


def test_every_preset_has_every_row():
    entries = cells()
    settings = {cell.setting for cell in entries}
    assert len(entries) == len(settings) * len(PRESETS) * len(PROTOCOLS)
    assert all(setting in settings for preset in PRESETS.values() for setting in preset.settings)


def test_json_holds_value_and_source_of_every_preset_and_setting():
    document = json.loads(table1("json"))
    assert list(document["presets"]) == [name for preset in PRESETS for name in (preset, f"{preset}, authors")]
    for name, entries in document["presets"].items():
        assert list(entries) == document["settings"]
        assert entries["lr"]["value"] == PRESETS[name.removesuffix(", authors")].settings["lr"]
    assert document["left_out"] == dict(LEFT_OUT)
    alone = json.loads(table1("json", protocol="ours"))
    assert list(alone["presets"]) == list(PRESETS) and alone["left_out"] == {}
    assert document["presets"]["imagenet"]["batch_size"] == {
        "value": 1024,
        "text": "1024",
        "source": "code: Renda et al.",
    }
    assert document["presets"]["quick"]["milestones"]["value"] is None


def test_a_changed_preset_changes_every_format():
    quick = PRESETS["quick"]
    changed = {"quick": dataclasses.replace(quick, settings={**quick.settings, "lr": 0.123456})}
    for form in TABLE_FORMATS:
        assert "0.123456" in table1(form, changed) and "0.123456" not in table1(form)


def test_an_unknown_format_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'latex'"):
        table1("latx")


def rows_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.endswith(r"\\")]


def columns(row: str) -> int:
    """Columns that a row fills: one more than its unescaped &, and those that a \\multicolumn spans beyond its one."""
    spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
    return 1 + len(re.findall(r"(?<!\\)&", row)) + sum(spans)


def check_latex(text: str) -> None:
    """What a LaTeX table needs to compile: matched environments and braces, full rows, nothing unescaped."""
    assert re.findall(r"\\begin\{([\w*]+)\}", text) == re.findall(r"\\end\{([\w*]+)\}", text)[::-1]
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    wanted = len(re.search(r"\\begin\{tabular\}\{(l+)\}", text)[1])
    assert rows_of(text) and {columns(row) for row in rows_of(text)} == {wanted}
    body = "\n".join(line for line in text.split("\n") if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%$#_]|[~^]", body)
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_the_latex_table_is_whole():
    for protocol in PROTOCOLS:
        text = table1("latex", protocol=protocol)
        check_latex(text)
        assert len(rows_of(text)) == 1 + len({cell.setting for cell in cells(protocols=(protocol,))})
    assert table1("latex").count("\\begin{table*}") == len(PROTOCOLS)


def test_awkward_characters_are_escaped_in_every_format():
    entries = [Cell("a_b", "rate|x", AWKWARD, "ours"), Cell("c", "rate|x", "plain", "code: A & B")]
    check_latex(latex(entries))
    assert latex_text(r"\_") == r"\textbackslash{}\_" and latex_text("a~b^c") == (
        r"a\textasciitilde{}b\textasciicircum{}c"
    )
    assert markdown(entries).splitlines()[2].startswith(r"| rate\|x | ")


@pytest.mark.parametrize(
    "spoil", [lambda t: t.replace(r"\_", "_", 1), lambda t: t.replace(" & ", " ", 1), lambda t: t.replace("}", "", 1)]
)
def test_the_check_of_latex_sees_a_broken_table(spoil):
    with pytest.raises(AssertionError):
        check_latex(spoil(table1("latex", protocol="ours")))


def test_a_value_common_to_all_presets_is_said_once_and_differing_sources_keep_it_apart():
    same = [Cell("a", "x", 1, "ours"), Cell("b", "x", 1, "ours")]
    apart = [Cell("a", "x", 1, "ours"), Cell("b", "x", 1, "summary")]
    assert r"\multicolumn{2}" in latex(same) and r"\multicolumn" not in latex(apart)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_pdflatex_takes_the_table(tmp_path):
    page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\n\\end{document}\n"
    (tmp_path / "page.tex").write_text(page % table1("latex"))
    done = run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "page.pdf").stat().st_size > 1000
