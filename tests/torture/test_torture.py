"""`make torture` is the long tier; here a few rounds of each part, and that it can say no."""

import pytest

from empirics import doctor
from empirics.storage import checkpoints
from tests.torture import torture

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_thread():
    from empirics.provenance import prepare

    prepare("cpu", threads=1)


def test_runs_killed_at_random_lose_nothing_and_differ_in_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(torture, "ARMS", ("wr",))
    found = torture.kills(tmp_path, 4)
    assert found["kills"] >= 4 and found["runs ended"] >= 1
    assert found["lost"] == found["differing"] == found["epochs lost"] == 0


def test_stopped_and_resumed_runs_hold_on_to_nothing(tmp_path):
    found = torture.soak(tmp_path, 12)
    assert found["resumes"] == 12 and found["differing"] == 0 and found["growth of descriptors"] == 0


def test_no_edit_of_any_file_goes_unseen(tmp_path):
    found = torture.edits(tmp_path, 60)
    assert found["said"] + found["refused"] + found["without effect"] == found["edits"] == 60
    assert found["silent"] == 0 and found["said"] and found["refused"]


def test_without_the_hash_edits_go_unseen(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "read_checked", lambda path, digest, most: path.read_bytes())
    monkeypatch.setattr(doctor, "_checkpoint_problems", lambda folder: [])
    assert torture.edits(tmp_path, 60)["silent"] > 0


def test_the_baselines_are_what_is_beaten(tmp_path):
    found = torture.baselines(tmp_path, 8)
    assert found["kills"] == found["flips"] == 8 and found["silent in safetensors"] > 0


def test_a_fault_is_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(torture, "PARTS", {"kills": lambda root, n: {"kills": n, "lost": 1}})
    assert torture.main(["--n", "3"]) == 1 and "kills 3, lost 1" in capsys.readouterr().out


def test_the_flow_of_random_samples_is_one_in_every_way(tmp_path, monkeypatch):
    monkeypatch.setattr(torture.flows, "METHODS", ("DOP853", "LSODA"))
    drawn = torture.flows.disagreements
    monkeypatch.setattr(torture.flows, "disagreements", lambda seeds: drawn(list(seeds)[:4], ("DOP853", "LSODA")))
    found = torture.samples(tmp_path, 1)
    assert found["samples"] == 10 and found["agree"] == 4 and not found.get("faults")
