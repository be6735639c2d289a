"""`make bench` measures; here only that its parts are there, that peers agree on a result, and that it can say no."""

import importlib
import re

import numpy as np
import pytest

from tests.bench import benchmark, peers, training
from theory.sampling import STARTS

pytestmark = pytest.mark.slow


def test_the_parts_are_named_and_an_unknown_one_is_refused(capsys):
    assert list(benchmark.PARTS) == ["speed", "memory", "accuracy", "theorems", "training", "checkpoints"]
    assert benchmark.main(["sped"]) == 2 and "choose among speed, memory" in capsys.readouterr().err


@pytest.mark.parametrize("init", STARTS)
def test_ours_and_the_loop_over_scipy_end_at_the_same_place(init):
    a0, w0 = STARTS[init](np.random.default_rng(0), 6, 10)
    ends = [peers.PEERS[name].make(1e-10)(a0, w0, 50.0) for name in ("theory.integrate_batch", "scipy loop, DOP853")]
    assert np.allclose(ends[0][0], ends[1][0], atol=1e-8) and np.allclose(ends[0][1], ends[1][1], atol=1e-8)


def test_a_peer_that_is_not_installed_is_named_and_the_table_goes_on(monkeypatch, capsys):
    def absent(rtol):
        importlib.import_module("a_package_that_nobody_has")

    lone = {"absent": peers.Peer(absent, 10, ""), "loop": peers.Peer(peers.scipy_loop, 2, "a loop")}
    monkeypatch.setattr(peers, "PEERS", lone)
    monkeypatch.setattr(benchmark, "CHECKED", 2)
    benchmark._table("balanced", *STARTS["balanced"](np.random.default_rng(0), 10, 3))
    out = capsys.readouterr().out
    assert "absent                   not installed (a_package_that_nobody_has)" in out and "a loop" in out


def test_the_error_of_a_peer_that_is_wrong_is_seen(monkeypatch):
    a0, w0 = STARTS["balanced"](np.random.default_rng(0), 4, 3)
    exact = peers.scipy_loop(1e-13)(a0, w0, 50.0)
    wrong = peers.Peer(lambda rtol: lambda a, w, t: (exact[0] + 1e-3, exact[1]), 4, "wrong")
    assert benchmark._accurate(wrong, a0, w0, exact)[1] == pytest.approx(1e-3)


def test_training_is_measured_beside_the_usual_loop(monkeypatch, capsys):
    monkeypatch.setattr(training, "STEPS", 1)
    monkeypatch.setattr(training, "BATCH", 8)
    monkeypatch.setattr(training, "SIDE", 8)
    training.report()
    out = capsys.readouterr().out
    assert out.count("usual loop") == 2 and out.count("ours in float32") == 2 and "times" in out
    assert out.count("ours in bfloat16") == 2 or "no kernels for bfloat16" in out


def test_the_shares_of_a_step_are_of_all_kinds_of_work(capsys):
    training.where_the_time_goes()
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 2
    for line in lines:
        shares = {kind: int(share) for kind, share in re.findall(r"([A-Za-z ]+) (\d+) %", line.rpartition(":")[2])}
        assert set(map(str.strip, shares)) == {*training.KINDS, "rest"} and abs(sum(shares.values()) - 100) <= 3
        assert shares[" convolutions"] > 20
