"""`make gpu-check` runs on a GPU; here its checks run on the CPU at tiny sizes, and it is seen to fail and to go on."""

import json
import re
import sys

import pytest
import torch

from empirics import models, provenance, registries
from empirics.seeding import generator
from empirics.storage.run_folder import RunFolder
from tests import ROOT
from tests.gpu import check, speed, subjects
from tests.gpu.subjects import TINY, Place
from tests.support.processes import run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_registries():
    """What a check registers is gone when its test ends: tests that list all presets follow in the same process."""
    yield
    for kind, name in (("preset", "gpu-check"), ("data set", "gpu-check-images")):
        if name in registries.KINDS[kind].entries:
            registries.unregister(kind, name)


@pytest.fixture
def place(tmp_path):
    return Place(provenance.prepare("cpu"), TINY, tmp_path)


@pytest.mark.parametrize("name", check.CHECKS)
def test_every_check_succeeds_on_a_cpu_and_finds_what_json_can_hold(name, place):
    torch.compiler.reset()
    found = check.CHECKS[name].run(place)
    assert found and json.loads(json.dumps(found)) == found
    assert name in check.row(name, {"status": "ok", "found": found, "seconds": 1.0})


def networks(count: int, side: int = 8) -> list[torch.nn.Module]:
    return [
        models.create("resnet8", 4, (3, side, side), 10, generator(k, "initial weights")).train() for k in range(count)
    ]


def losses_alone(images, labels) -> torch.Tensor:
    function = torch.nn.functional.cross_entropy
    return torch.stack([function(one(x), y) for one, x, y in zip(networks(3), images, labels, strict=True)])


def test_networks_side_by_side_compute_what_each_computes_alone():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn((3, 5, 3, 8, 8), generator=draw)
    labels = torch.randint(0, 10, (3, 5), generator=draw)
    logits = speed.grouped(networks(3))(images.transpose(0, 1).reshape(5, 9, 8, 8))
    alone = torch.stack([one(x) for one, x in zip(networks(3), images, strict=True)], 1)
    torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)
    step = speed.vmapped(networks(3), images, labels)
    torch.testing.assert_close(step(), losses_alone(images, labels).sum().detach(), rtol=1e-4, atol=1e-5)
    assert step() < losses_alone(images, labels).sum(), "and they learn"


def test_a_step_of_the_measurements_is_sgd_of_torch():
    mine, theirs = networks(1)[0], networks(1)[0]
    images, labels = torch.randn((5, 3, 8, 8), generator=torch.Generator().manual_seed(0)), torch.arange(5)
    numbers = dict(lr=speed.LEARNING_RATE, momentum=speed.MOMENTUM, weight_decay=speed.WEIGHT_DECAY)
    optimizer, loss = torch.optim.SGD(theirs.parameters(), **numbers), torch.nn.functional.cross_entropy
    step = speed.stepping(mine.parameters(), lambda: loss(mine(images), labels))
    for _ in range(3):
        optimizer.zero_grad()
        loss(theirs(images), labels).backward()
        optimizer.step()
        step()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_check_that_fails_is_recorded_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    outcomes = {
        "arithmetic": {"status": "failed", "error": "RuntimeError: CUDA error", "seconds": 1.0},
        "loop": {"status": "ok", "found": {"images a second": 5.0, "ms a step": 2.0}, "seconds": 1.0},
        "memory": {"status": "out of time", "error": "Timeout (0:00:60)!", "seconds": 60.0},
    }
    monkeypatch.setattr(check, "in_own_process", lambda name, device, size: outcomes[name])
    out = tmp_path / "found.json"
    words = ["--device", "cpu", "--size", "tiny", "--out", str(out)]
    assert check.main([*outcomes, *words]) == 1
    report, said = json.loads(out.read_text()), capsys.readouterr().out
    assert [result["status"] for result in report["checks"].values()] == ["failed", "ok", "out of time"]
    assert "RuntimeError: CUDA error" in said and "5 images/s, 2.00 ms a step" in said
    assert f"1 of 3 checks succeeded in {report['seconds']:.0f} s" in said
    assert str(ROOT) not in json.dumps(report["machine"]) and report["machine"]["versions"]["torch"]
    assert check.main(["loop", *words]) == 0


def test_what_is_missing_is_said_and_what_needs_it_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check, "missing", lambda names: [name for name in names if name in ("PIL", "torchvision")])
    words = ["--device", "cpu", "--size", "tiny", "--out", str(tmp_path / "found.json")]
    assert check.main(["same bits, streamed", "memory", *words]) == 0
    said = capsys.readouterr().out
    assert "not installed here: torchvision, PIL" in said and said.count("left out ") == 2 and "it needs PIL" in said


def test_time_that_is_over_is_a_failure(monkeypatch):
    lines = []
    found = check.run_all(["loop"], "cpu", "tiny", -1.0, lines.append)
    assert found["loop"]["status"] in check.FAILED and "not tried" in lines[0]


def test_a_check_in_a_process_of_its_own_reports_and_ends_in_time(tmp_path):
    found = check.in_own_process("arithmetic", "cpu", "tiny")
    assert found["status"] == "ok" and found["found"]["matrix product"] < 1e-5
    code = (
        "import dataclasses, sys, time; from pathlib import Path; from tests.gpu import check, results\n"
        "results.arithmetic = lambda place: time.sleep(1000)\n"
        "check.CHECKS['arithmetic'] = dataclasses.replace(check.CHECKS['arithmetic'], seconds=0.1)\n"
        "check.one('arithmetic', 'cpu', 'tiny', Path(sys.argv[1]))"
    )
    done = run([sys.executable, "-c", code, str(tmp_path / "out")], cwd=ROOT)
    assert done.returncode == 1 and "Timeout (" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("counted, code, words", [(0, 0, "there is no GPU here to check"), (1, 1, "CUDA cannot start")])
def test_without_a_gpu_it_says_so_in_one_sentence(monkeypatch, capsys, counted, code, words):
    monkeypatch.setattr(provenance, "cuda_problem", lambda: "Found no NVIDIA driver")
    monkeypatch.setattr(provenance, "accelerators", lambda: counted)
    monkeypatch.setattr(provenance, "driver_version", lambda: None)
    assert check.main([]) == code
    said = capsys.readouterr().out
    assert words in said and len(said.splitlines()) == 1


def test_without_torch_it_says_what_it_needs(monkeypatch, capsys):
    monkeypatch.setattr(check, "missing", lambda names: ["torch"] if "torch" in names else [])
    assert check.main([]) == 2 and "needs Python 3.11 and torch, numpy, safetensors" in capsys.readouterr().out


def test_it_needs_no_package_but_torch_numpy_and_safetensors(tmp_path):
    """Every module of the checks is loaded, and a run is trained, where all others are hidden."""
    hidden = [*check.USEFUL, "msgspec", "matplotlib", "numba"]
    code = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {hidden}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name in {hidden} else real(name)\n"
        "from pathlib import Path; from tests.gpu import check\n"
        "out = Path(sys.argv[1]); print(check.missing(check.USEFUL))\n"
        "check.one('same bits', 'cpu', 'tiny', out)\n"
    )
    done = run([sys.executable, "-c", code, str(tmp_path / "out")], cwd=ROOT, check=True)
    assert re.search("filelock.*torchvision.*tyro", done.stdout)
    assert json.loads((tmp_path / "out").read_text())["status"] == "ok", (tmp_path / "out").read_text()


def test_the_stand_in_for_filelock_locks_as_records_need_it(tmp_path, monkeypatch):
    from empirics.storage.locks import locked

    monkeypatch.delitem(sys.modules, "filelock", raising=False)
    monkeypatch.setattr(subjects, "missing", lambda names: list(names))
    monkeypatch.setattr(sys, "path", [*sys.path])
    subjects.needs_filelock()
    with locked(tmp_path / "record.json"):
        assert (tmp_path / ".record.json.lock").exists()
    with RunFolder(tmp_path, "imp-digits-resnet8-0000cafe", 0).lease():
        pass
    assert str(subjects.STAND_INS) in sys.path, "processes that it starts find the stand-in there"
    monkeypatch.delitem(sys.modules, "filelock")


def test_make_gpu_check_uses_the_python_of_the_system_and_installs_nothing():
    recipe = re.search(r"^gpu-check:(.*)\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe[1].strip() == "" and recipe[2] == "\t@$(PYTHON) -m tests.gpu.check\n"
