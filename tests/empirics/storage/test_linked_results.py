"""Results of which a part lies on another disk, by a link at their top."""

import hashlib
import json
import os

import pytest

from empirics import doctor
from empirics.storage.run_folder import RunFolder
from figures.provenance.explain import explain
from figures.results.load import load
from tests.empirics.tiny_runs import run_arms, setup_in

pytestmark = pytest.mark.slow


@pytest.fixture
def linked(tmp_path, tiny_digits):
    """Results whose `runs` are elsewhere from the start, and the run `imp` in them."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results/runs").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    return tmp_path / "results", run_arms(["imp"], setup_in(tmp_path / "results", tiny_digits), levels=2)["imp"]


def problems(results) -> list[str]:
    return [finding.text for finding in doctor.examine(results, results / "no-data") if finding.bad]


def test_runs_that_lie_elsewhere_are_no_problem_and_are_looked_at(linked):
    results, config = linked
    assert problems(results) == [] and not load(results).problems
    run = RunFolder(results, config.name, 0)
    (run.path / ".level.json.1-ab.tmp").write_bytes(b"")
    os.utime(run.path / ".level.json.1-ab.tmp", (1, 1))
    os.symlink("/etc/passwd", run.path / "link")
    texts = problems(results)
    assert len(texts) == 2 and any("was left by a process" in text for text in texts)
    assert any("link is a symbolic link, which could lead anywhere" in text for text in texts)


@pytest.mark.parametrize("name", ["studies", "theory", "overlaps", "connectivity", "cache"])
def test_any_folder_at_the_top_may_lie_elsewhere(linked, tmp_path, name):
    results, _ = linked
    (tmp_path / "more").mkdir()
    (results / name).symlink_to(tmp_path / "more")
    assert problems(results) == []


def test_the_results_themselves_may_lie_elsewhere(linked, tmp_path):
    (tmp_path / "by link").symlink_to(linked[0])
    assert problems(tmp_path / "by link") == []


@pytest.mark.parametrize("target", ["nowhere", "/etc/hostname"])
def test_a_link_that_is_no_folder_is_a_problem(linked, target):
    results, _ = linked
    (results / "studies").symlink_to(target)
    assert any("studies" in text for text in problems(results))


def test_explain_compares_what_lies_elsewhere_and_nothing_outside(linked, tmp_path):
    results, config = linked
    (tmp_path / "secret").write_text("x")
    (tmp_path / "elsewhere/link").symlink_to(tmp_path / "secret")

    def explained(path: str, content: bytes) -> str:
        source = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
        (tmp_path / "fig1.json").write_text(json.dumps({"schema": 2, "kind": "figure", "inputs": [source]}))
        return explain(tmp_path / "fig1.json", results)

    name = f"runs/{config.name}/config.json"
    assert "All 1 inputs are unchanged" in explained(name, (results / name).read_bytes())
    assert f"changed  {name}" in explained(name, b"another")
    for outside in (str(tmp_path / "secret"), "../secret", "runs/../../secret", "runs/link", ".."):
        assert f"outside  {outside}" in explained(outside, b"x")
