"""Others that integrate the same flow: d = 10 inputs, the population's full vector field, to one final time.

Each peer takes (a0 (n,), w0 (n, d), t) and returns (a (n,), w (n, d)); what it compiles it compiles on the first call.
Each runs at the loosest of TOLERANCES whose error is below ACCURACY. To add one: a function `make(rtol) -> run`, and a
line in `PEERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.integrate import solve_ivp

from theory.flow.batch import integrate_batch
from theory.losses.formulas import population_gradient
from theory.losses.losses import Population

TOLERANCES = (1e-8, 1e-9, 1e-10, 1e-11, 1e-12)  # relative; absolute is a hundredth of it
ACCURACY = 1e-8
Run = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Peer:
    """A way to integrate: how it is made, and how many trajectories it is timed on."""

    make: Callable[[float], Run]
    trajectories: int
    about: str


def ours(rtol: float) -> Run:
    """Return `theory.integrate_batch`, whose tolerance is its own."""

    def run(a0, w0, t):
        batch = integrate_batch(Population(w0.shape[1]), a0, w0, [t])
        return batch.a[:, -1], batch.w[:, -1]

    return run


def scipy_loop(rtol: float) -> Run:
    """Return a Python loop over solve_ivp, DOP853, on the full field."""

    def field(_, y):
        da, dw = population_gradient(y[0], y[1:])
        return -np.array([da, *dw])

    def run(a0, w0, t):
        ends = [
            solve_ivp(field, (0, t), [a, *w], method="DOP853", rtol=rtol, atol=rtol / 100, t_eval=[t]).y[:, -1]
            for a, w in zip(a0, w0, strict=True)
        ]
        return np.array(ends)[:, 0], np.array(ends)[:, 1:]

    return run


def diffrax_vmap(solver: str, rtol: float) -> Run:
    """Return diffrax under vmap and jit, in double precision, with a step of its own for each trajectory."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def field(_, y, args):
        a, w = y[0], y[1:]
        across = jnp.sqrt((w[1:] ** 2).sum())
        r = jnp.sqrt(w[0] ** 2 + across**2)
        psi = jnp.arctan2(across, -w[0])
        da = -a * r**2 / 2 + r * (jnp.sin(psi) - psi * jnp.cos(psi)) / (2 * jnp.pi)
        push = (w * across / r**2).at[0].add(psi)
        return jnp.concatenate([da[None], -(a**2) / 2 * w + a / (2 * jnp.pi) * push])

    def one(y, t):
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            getattr(diffrax, solver)(),
            t0=0.0,
            t1=t,
            dt0=None,
            y0=y,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol / 100),
            saveat=diffrax.SaveAt(t1=True),
            max_steps=4096,
            throw=False,
        )
        return found.ys[-1]

    many = jax.jit(jax.vmap(one, in_axes=(0, None)))

    def run(a0, w0, t):
        end = np.asarray(many(jnp.asarray(np.column_stack([a0, w0])), t))
        return end[:, 0], end[:, 1:]

    return run


def torchdiffeq_batch(rtol: float) -> Run:
    """Return torchdiffeq's dopri5 on the stacked batch: one step size for all of them."""
    import torch
    from torchdiffeq import odeint

    def field(_, y):
        a, w = y[:, :1], y[:, 1:]
        across = w[:, 1:].norm(dim=1, keepdim=True)
        r = torch.hypot(w[:, :1], across)
        psi = torch.atan2(across, -w[:, :1])
        da = -a * r**2 / 2 + r * (torch.sin(psi) - psi * torch.cos(psi)) / (2 * torch.pi)
        push = w * across / r**2
        push[:, :1] += psi
        return torch.cat([da, -(a**2) / 2 * w + a / (2 * torch.pi) * push], dim=1)

    def run(a0, w0, t):
        y = torch.as_tensor(np.column_stack([a0, w0]))
        with torch.no_grad():
            times = torch.tensor([0.0, t], dtype=y.dtype)
            end = odeint(field, y, times, rtol=rtol, atol=rtol / 100, method="dopri5")[-1]
        return end[:, 0].numpy(), end[:, 1:].numpy()

    return run


PEERS: dict[str, Peer] = {
    "theory.integrate_batch": Peer(ours, 20_000, "two variables, numba, its own tolerance"),
    "diffrax Dopri8": Peer(partial(diffrax_vmap, "Dopri8"), 1_000, "vmap, jit, float64; compile time apart"),
    "diffrax Tsit5": Peer(partial(diffrax_vmap, "Tsit5"), 1_000, "vmap, jit, float64; compile time apart"),
    "torchdiffeq dopri5": Peer(torchdiffeq_batch, 1_000, "stacked, one step size for all"),
    "scipy loop, DOP853": Peer(scipy_loop, 40, "a Python loop over solve_ivp"),
}
