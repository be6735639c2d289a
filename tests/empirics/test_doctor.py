import json
import shutil
from pathlib import Path

import pytest
from tiny_runs import lab_in, run_arms

from empirics import doctor
from empirics.config import ConfigError, RunConfig
from empirics.store import WEIGHTS, RunFolder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_digits):
    root = tmp_path_factory.mktemp("doctor")
    lab = lab_in(root / "results", tiny_digits)
    return root, run_arms(["imp", "lrr-without-warmup"], lab, epochs=2, warmup_epochs=1, mask_epochs=(1,))


@pytest.fixture
def copy(whole, tmp_path):
    root, configs = whole
    shutil.copytree(root / "results", tmp_path / "results")
    return tmp_path / "results", configs


def problems(results: Path) -> list[str]:
    return [finding.text for finding in doctor.examine(results, results / "no-data") if finding.bad]


def test_whole_results_have_no_problem_and_the_report_can_be_pasted(whole):
    root, _ = whole
    findings = list(doctor.examine(root / "results", root / "no-data"))
    assert problems(root / "results") == []
    text = "\n".join(finding.text for finding in findings)
    for word in ("versions: python", "processor:", "GPU:", "disk:", "data set digits: found", "6 levels looked at"):
        assert word in text
    assert str(root) not in text and str(Path.home()) not in text


@pytest.mark.parametrize("name", ["imp", "lrr-without-warmup"])
def test_every_config_is_read_back_to_the_run_that_it_was(whole, name):
    root, configs = whole
    for config in (configs[name], configs[name].dense):
        record = json.loads((root / "results" / "runs" / config.name / "config.json").read_text())
        assert doctor.config_of(record["config"], record["arm"]) == config


def damage_weights(results, config):
    path = RunFolder(results, config.name, 0).level_path(2) / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def edit_config(results, config):
    file = results / "runs" / config.name / "config.json"
    file.write_text(file.read_text().replace('"lr": 0.2', '"lr": 0.3'))


def strange_setting(results, config):
    file = results / "runs" / config.name / "config.json"
    file.write_text(file.read_text().replace('"lr": 0.2', '"lr": 0.2, "code": "import os"'))


DAMAGES = {
    "weights": (damage_weights, "level-02 is damaged: the same command trains it anew"),
    "config": (edit_config, "which is not that of the run's name"),
    "setting": (strange_setting, "unknown setting 'code'"),
    "no config": (lambda r, c: (r / "runs" / c.name / "config.json").unlink(), "config.json cannot be read"),
    "nested": (lambda r, c: (r / "runs" / c.name / "config.json").write_text("[" * 100_000), "cannot be read"),
    "signs": (lambda r, c: (RunFolder(r, c.name, 0).path / "signs.json").write_text("{"), "signs.json is damaged"),
    "folder": (lambda r, c: (RunFolder(r, c.name, 0).path / "level-xx").mkdir(), "'level-xx' is no folder of ours"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(copy, damage):
    results, configs = copy
    spoil, message = DAMAGES[damage]
    spoil(results, configs["imp"])
    found = problems(results)
    assert len(found) == 1 and message in found[0] and configs["imp"].name in found[0]


def test_a_study_that_is_no_json_is_named(copy):
    results, _ = copy
    (results / "studies").mkdir()
    (results / "studies" / "x.json").write_bytes(b"\xff")
    assert problems(results) == ["studies/x.json is not JSON of ours: delete it"]


def test_a_config_that_cannot_be_run_is_a_typed_error():
    with pytest.raises(ConfigError):
        doctor.config_of({"lr": "0.1"}, "imp")
    assert doctor.config_of({}, "imp") == RunConfig()
