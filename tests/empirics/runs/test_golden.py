"""The golden run: what `empirics` writes today against the record in `tests/golden`."""

import json
import math
import sys
from pathlib import Path

import pytest

from empirics.data import datasets
from empirics.execution.tasks import study_record
from tests import ROOT
from tests.empirics.tiny_runs import run_arms, setup_in
from tests.support.records import OF_THE_PLACE

pytestmark = pytest.mark.slow

GOLDEN = ROOT / "tests" / "golden" / "results"
# two steps a level, and prunings that keep clear of small weights: a difference in the last bit stays one (other
# kernels and thread counts give the same counts; at ten steps a level they no longer do)
SETTINGS = dict(model="resnet8", width=4, epochs=1, warmup_epochs=0, batch_size=512, levels=3, lr=0.1, prune_rate=0.2)


def make(results: Path) -> None:
    """The golden study in a results folder."""
    from empirics.provenance import prepare
    from empirics.studies import presets
    from empirics.studies.records import count_overlaps, write_study

    prepare("cpu", threads=1)
    run_arms(["imp", "lrr"], setup_in(results, datasets.load("digits")), **SETTINGS)
    configs = {name: presets.arm_config("quick", name, **SETTINGS) for name in ("imp", "lrr")}
    record = study_record("quick", SETTINGS, configs["imp"], configs, (0,), "paper_repro.py train")
    count_overlaps(results, write_study(results, record))


def text_files(results: Path) -> dict[str, Path]:
    files = [*results.rglob("*.json"), *results.rglob("*.jsonl")]
    return {path.relative_to(results).as_posix(): path for path in files}


def parse(path: Path) -> list:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [json.loads(line) for line in lines]


def differences(golden, made, where: str = "") -> list[str]:
    """Where two records differ: names, types and whole numbers exactly, other numbers by more than 1e-3."""
    if type(golden) is not type(made):
        return [f"{where}: {golden!r} and {made!r}"]
    if isinstance(golden, dict):
        if list(golden) != list(made):
            return [f"{where}: names {list(golden)} and {list(made)}"]
        return [
            d
            for key in golden
            if key not in OF_THE_PLACE
            for d in differences(golden[key], made[key], f"{where}/{key}")
        ]
    if isinstance(golden, list):
        if len(golden) != len(made):
            return [f"{where}: {len(golden)} and {len(made)} entries"]
        pairs = enumerate(zip(golden, made, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}/{i}")]
    close = math.isclose(golden, made, rel_tol=1e-3, abs_tol=1e-3) if isinstance(golden, float) else golden == made
    return [] if close else [f"{where}: {golden!r} and {made!r}"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    results = tmp_path_factory.mktemp("golden")
    make(results)
    return results


def test_the_golden_run_is_written_again_with_the_same_names(made):
    assert sorted(text_files(made)) == sorted(text_files(GOLDEN))


def test_the_golden_run_is_written_again_with_the_same_schema_counts_and_numbers(made):
    fresh = text_files(made)
    for name, path in text_files(GOLDEN).items():
        assert differences(parse(path), parse(fresh[name]), name) == []


def test_the_comparison_finds_a_changed_count_name_type_and_number():
    record = {"n_kept": 5, "loss": 0.5, "arm": "imp"}
    for change in ({"n_kept": 6}, {"loss": 0.502}, {"arm": "lrr"}, {"n_kept": 5.0}, {"extra": 1}):
        assert differences(record, {**record, **change})
    assert differences(record, {**record, "loss": 0.5004}) == []


def test_the_golden_record_holds_no_tensors_and_stays_small():
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    assert files and all(path.suffix in (".json", ".jsonl") for path in files)
    assert sum(path.stat().st_size for path in files) < 200_000


if __name__ == "__main__":
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for name, path in text_files(Path(folder)).items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, GOLDEN / name)
    sys.exit(0)
