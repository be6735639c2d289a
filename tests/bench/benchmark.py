"""Speed, memory and accuracy beside the peers, on one core: `make bench` runs this and prints its tables.

python -m tests.bench.benchmark [speed] [memory] [accuracy] [theorems] [training] [checkpoints]     without a name all
"""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from collections.abc import Callable

if __name__ == "__main__":  # before numpy is loaded: one thread and one core for everybody, ours and theirs
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np

import theory
from tests.bench import accuracy, peers
from theory.sampling import STARTS

T, D = 50.0, 10
CHECKED = 200  # trajectories whose error is measured against DOP853 at 1e-13


def best(call: Callable[[], object], repeats: int) -> float:
    """Return the least time of several calls: the one that others disturbed least."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def speed() -> None:
    """Print trajectories a second to t = 50, the error of each, and our ratio to every peer, in one run."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    a0, w0 = rng.normal(size=n), rng.normal(size=n)
    line = theory.Line()
    seconds = best(lambda: theory.integrate_batch(line, a0, w0, [T]), 3)
    print(f"\nd = 1, t = {T:g}: integrate_batch {n / seconds:,.0f} trajectories a second (closed form)")
    for init in STARTS:
        _table(init, *STARTS[init](rng, max(peer.trajectories for peer in peers.PEERS.values()), D))


def _table(init: str, a0: np.ndarray, w0: np.ndarray) -> None:
    exact = peers.scipy_loop(1e-13)(a0[:CHECKED], w0[:CHECKED], T)
    print(f"\nd = {D}, t = {T:g}, {init} starts, one core, each at the loosest tolerance with an error below 1e-8")
    print(f"{'':24} {'a second':>12} {'ours / it':>10} {'error':>9} {'rtol':>6}")
    ours = None
    for name, peer in peers.PEERS.items():
        try:
            run, error, rtol, compiled = _accurate(peer, a0, w0, exact)
        except ImportError as missing:
            print(f"{name:24} not installed ({missing.name})")
            continue
        k = peer.trajectories
        rate = k / best(lambda run=run, k=k: run(a0[:k], w0[:k], T), 3)
        ours = rate if ours is None else ours
        about = f"{peer.about}; first call {compiled:.1f} s"
        print(f"{name:24} {rate:12,.0f} {ours / rate:10.1f} {error:9.1e} {rtol:6.0e}  {about}")


def _accurate(peer: peers.Peer, a0: np.ndarray, w0: np.ndarray, exact: tuple[np.ndarray, np.ndarray]):
    """Return a peer's run at the loosest tolerance that will do, its error, that tolerance, the first call (s)."""
    k, m = peer.trajectories, min(CHECKED, peer.trajectories)  # a slow peer is checked on fewer
    for rtol in peers.TOLERANCES:
        run, start = peer.make(rtol), time.perf_counter()
        a, w = run(a0[:k], w0[:k], T)  # compiles
        seconds = time.perf_counter() - start
        error = max(abs(a[:m] - exact[0][:m]).max(), abs(w[:m] - exact[1][:m]).max())
        if error < peers.ACCURACY:
            break
    return run, error, rtol, seconds


def memory() -> None:
    """Print the peak of what a batch allocates beside what it returns."""
    print("\nmemory of integrate_batch, d = 10")
    for n, m in ((10_000, 1), (10_000, 20), (40_000, 20)):
        a0, w0 = STARTS["normal"](np.random.default_rng(0), n, D)
        times = np.linspace(T / m, T, m)
        theory.integrate_batch(theory.Population(D), a0[:10], w0[:10], times)
        tracemalloc.start()
        batch = theory.integrate_batch(theory.Population(D), a0, w0, times)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        kept = sum(getattr(batch, part).nbytes for part in ("a", "w"))
        each = peak / (n * m)
        print(f"n = {n:6,}, {m:2} times: returns {kept / 1e6:5.1f} MB, peak {peak / 1e6:5.1f} MB, {each:.0f} B a state")


def exactness() -> None:
    """Print the worst errors of the closed form and the wrong verdicts of `limit`."""
    rng = np.random.default_rng(0)
    n = 20_000
    print(f"\nclosed_form against mpmath, {accuracy.DIGITS} digits, {n:,} starts: worst error / allowed")
    for kind, (share, row) in accuracy.worst_closed_form(rng, n).items():
        start = f"a0 = {row[0]:.6g}, w0 = {row[1]:.6g}, t = {row[2]:.3g}"
        print(f"  {kind}: {share:.3g} of {accuracy.BOUND:g} max(|a|, |w|) + {accuracy.FLOOR:g}  (at {start})")
    wrong = accuracy.wrong_verdicts(rng, 100_000)
    print(f"limit against rational arithmetic: {wrong} wrong of 100,000 random and adversarial starts")


def theorems() -> None:
    """Print how long all the checks take."""
    found = {name: theory.check(name) for name in theory.THEOREMS}
    seconds = sum(verdict.seconds for verdict in found.values())
    held = sum(verdict.holds for verdict in found.values())
    print(f"\ntheorems: {held} of {len(found)} hold, every mutant refuted, {seconds:.1f} s in all")


def networks() -> None:
    """Print the speed of training networks beside the field's usual loop, and where the time of ours goes."""
    from tests.bench import training

    training.report()
    training.where_the_time_goes()


def checkpoints() -> None:
    """Print what checkpoints cost within a level."""
    from tests.bench import checkpointing

    checkpointing.report()


PARTS = {
    "speed": speed,
    "memory": memory,
    "accuracy": exactness,
    "theorems": theorems,
    "training": networks,
    "checkpoints": checkpoints,
}


def main(names: list[str]) -> int:
    """Run the parts that are named, or all."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown part {unknown[0]!r}: choose among {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
