# %% [markdown]
# # From clone to: I see why LRR wins
#
# Five minutes with one neuron, f(x) = a relu(w.x), that is trained to be relu(x_1). Run the cells in an editor that
# knows percent cells, or the whole file: `.venv/bin/python theory/tutorial.py`. Words are explained in
# theory/README.md.

# %%
import numpy as np

import figures
import theory

# %% [markdown]
# ## 1. One input: the signs decide, for ever
#
# Of four balanced starts, |a| = |w|, one learns. A weight w < 0 never crosses 0: no training helps it.

# %%
for a0, w0 in [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)]:
    end = theory.limit(a0, w0)
    print(f"a(0) = {a0:+}, w(0) = {w0:+}: {end.verdict}, a tends to {end.a:.3g}, w to {end.w:.3g}")

# %% [markdown]
# ## 2. The picture of it
#
# Every start above the line a = -w, with w > 0, flows to the curve a w = 1. Everything else flows to where the neuron
# is dead.

# %%
plane = theory.phase_plane("line")
times = np.linspace(0.0, 20.0, 201)
paths = [plane.trajectory(a0, w0, times) for a0, w0 in [(1.0, -1.0), (-0.6, 1.5), (0.4, 0.4)]]
figures.phase_portrait(plane, paths=paths).savefig("tutorial-one-input.png")

# %% [markdown]
# ## 3. More inputs: w can turn round
#
# The same wrong sign, w_1(0) = -0.6, now with a second input. The dense neuron learns (Lemma 2.2): w turns to the side
# of the target, and its first weight ends above 0.

# %%
a0, w0 = 1.0, np.array([-0.6, 0.8])
dense = theory.integrate(theory.Population(2), a0, w0, 60.0)
print(f"w_1 goes from {w0[0]} to {dense.w[-1, 0]:.3f}: {dense.verdict}")
turning = theory.phase_plane("balanced")
figures.phase_portrait(turning, paths=[turning.trajectory(a0, w0, times)]).savefig("tutorial-two-inputs.png")

# %% [markdown]
# ## 4. Prune, rewind, train again
#
# Pruning keeps input 1. IMP puts w_1 back to -0.6: that is one input with the wrong sign, which fails (part 1). LRR
# goes on from the trained w_1 > 0. What counts is the sign: rewinding the size alone does no harm.

# %%
for rule in theory.REWINDS:
    learns = theory.prune(rule, [a0], [w0]).learns[-1, 0]
    print(f"{rule:9} {'learns' if learns else 'fails'}")

# %% [markdown]
# ## 5. How often?
#
# From balanced random starts IMP learns with probability 1/4 and LRR with 1/2 (Theorem 2.3), for every number of
# inputs above 1. From the start of the authors' code, where |a| < |w|, LRR always learns.

# %%
for init in ("balanced", "bounded"):
    for rule in ("imp", "lrr"):
        found = theory.success_probability(rule, 10, init, 20_000, seed=0)
        print(f"{init} start, {rule}: {found.share:.3f} of {found.trials:,} starts, exactly {found.exact:.4f}")

# %% [markdown]
# ## 6. Play with it
#
# One file, without a server: click for trajectories, drag their starts, and step through the story. In a notebook, end
# a cell with `theory.explore()`.

# %%
page = theory.explore("balanced", starts=[(a0, w0)])
print(f"open {page.save('tutorial-explore.html')} in a browser")
