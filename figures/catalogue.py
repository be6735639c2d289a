"""The registry of figures.

To add one: a function Records -> Drawing in a file of `figures.plots`, and one line here; or, from outside the package,
`figures.register("figure", name, FigureSpec(...))`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from figures.claims.registry import CLAIMS, ON_NETWORKS, ON_PERTURBED, ON_THEORY
from figures.results.network import Records
from figures.results.variants import protocol_mark


@dataclass(frozen=True)
class FigureSpec:
    """A figure: its title, the function that draws it, and the results that it reads.

    Changes to result files that it does not read do not redraw the figure.

    Attributes:
        id: its name in the registry, in commands and in file names.
        title: what it shows, in a few words.
        function: "module:name" within `figures.plots`, imported when the figure is drawn: matplotlib is not loaded
            while nothing changes. For a figure from outside it is the function itself, `Records -> Drawing`.
        theory: the experiments of the neuron that it reads.
        arms: the arms that it reads of every study.
        signs: whether it needs the arms' sign statistics.
        sweeps: by name, the arms that it reads at every value of that sweep.
        presets: the presets of whose studies it reads; empty: all.
        also: the same as `sweeps` for sweeps that are drawn if they have been run, but are not run for this figure.
        more: arms that it reads of every study that has them, but that are not run for it.
        claims: the claims that it judges.
        connectivity: whether it reads the connectivity of the networks of each study.
        shows_accuracy: whether it shows test accuracies of networks, if it reads networks: otherwise the best
            accuracies change nothing in it.
    """

    id: str
    title: str
    function: str | Callable[[Records], Any]
    theory: tuple[str, ...]
    arms: tuple[str, ...]
    signs: bool = False
    sweeps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    presets: tuple[str, ...] = ()
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    connectivity: bool = False
    shows_accuracy: bool = True

    @property
    def has_accuracy(self) -> bool:
        """Whether it shows test accuracies of networks."""
        return self.shows_accuracy and bool(self.arms or self.sweeps)

    @property
    def reads_sweeps_alone(self) -> bool:
        """Whether every arm that it needs is among those of its sweeps."""
        return set(self.arms) <= {arm for arms in self.sweeps.values() for arm in arms}

    @property
    def shows_networks(self) -> bool:
        """Whether it reads studies: a figure of the neuron alone is the same under every protocol."""
        return bool(self.arms or self.sweeps)

    @property
    def command(self) -> str:
        """The command that makes this figure."""
        return f"paper_repro.py figures {self.id}"

    @property
    def draw(self) -> Callable[[Records], Any]:
        """The drawing function, `Records -> Drawing`; raises `NothingToDraw` where nothing has been run."""
        if not isinstance(self.function, str):
            return self.function
        module, name = self.place.split(":")
        return getattr(import_module(module), name)

    @property
    def place(self) -> str:
        """The module and the name of the drawing function, "module:name" with the module's full name."""
        if isinstance(self.function, str):
            return f"figures.plots.{self.function}"
        return f"{self.function.__module__}:{getattr(self.function, '__qualname__', type(self.function).__qualname__)}"


class NoProtocol(ValueError):
    """A figure that is the same under every protocol was asked for under one."""


CLAIMS_FIGURE = "claims"  # the figure that also has tables, and shows a claim whose file cannot be trusted as not run
_RULES = ("imp", "lrr")
_RANDOM = ("imp-on-shuffled-mask", "lrr-on-shuffled-mask", "imp-on-random-mask", "lrr-on-random-mask")
_LONG = ("imp-long", "imp-long-on-shuffled-mask", "imp-long-on-random-mask")
_ON_RANDOM = ("imp-on-random-mask", "lrr-on-random-mask", "imp-bn-kept-on-random-mask", "lrr-bn-rewind-on-random-mask")
_PERTURBED = ("imp", "lrr", "imp-perturbed", "lrr-perturbed")
_CELLS = ("imp", "sign", "magnitude", "lrr-bn-rewind", "lrr", "imp-long")


def claims_figure() -> FigureSpec:
    """The figure of all claims, which reads what the claims say that they read.

    The arms of perturbed signs are run in their sweep, and read of a preset's own study where they are there too. Arms
    of which a claim says only that they may be there are read, but not run for it.
    """
    judged = CLAIMS.values()
    arms = tuple({arm: None for claim in judged if claim.kind == ON_NETWORKS for arm in claim.arms})
    sweeps: dict[str, dict[str, None]] = {}
    for claim in judged:
        if claim.kind not in (ON_NETWORKS, ON_THEORY):
            name = "perturbation" if claim.kind == ON_PERTURBED else claim.kind
            sweeps.setdefault(name, {}).update(dict.fromkeys(claim.arms))
    perturbed = sweeps.get("perturbation", {})
    optional = dict.fromkeys(arm for claim in judged for arm in claim.more)
    return FigureSpec(
        CLAIMS_FIGURE,
        "All claims at a glance",
        "claims:figure_claims",
        tuple({name: None for claim in judged for name in claim.theory}),
        arms,
        signs=any(claim.signs for claim in judged),
        sweeps={name: tuple(read) for name, read in sweeps.items()},
        more=tuple(arm for arm in (*perturbed, *optional) if arm not in arms),
        claims=tuple(CLAIMS),
    )


FIGURES: dict[str, FigureSpec] = {
    "1": FigureSpec("1", "Which signs learn, and why IMP fails", "neuron_phase_plane:figure_1",
                    ("quadrants", "stories"), ()),
    "2": FigureSpec("2", "IMP and LRR on a neuron and on other masks", "other_masks:figure_2",
                    ("pruning-iterations",), ("imp", "lrr", *_RANDOM, "lrr-on-imp-mask", *_LONG)),
    "3": FigureSpec("3", "Does the mask that LRR learnt help IMP?", "accuracy:figure_3", (),
                    ("imp", "lrr", "imp-on-lrr-mask", "imp-long"), more=("imp-warm",)),
    "4": FigureSpec("4", "Does LRR optimise better within the IMP mask?", "accuracy:figure_4", (),
                    ("imp", "lrr", "lrr-on-imp-mask", "imp-long"), more=("lrr-bn-rewind-on-imp-mask",)),
    "5": FigureSpec("5", "When signs settle, and how often they switch", "settling:figure_5", (),
                    ("imp", "lrr"), signs=True, shows_accuracy=False),
    "6": FigureSpec("6", "What flipped signs cost IMP and LRR", "perturbation:figure_6", (),
                    _PERTURBED, sweeps={"perturbation": _PERTURBED}, more=("imp-long",)),
    "7": FigureSpec("7", "IMP and LRR on random masks", "ablations:figure_7", (),
                    (*_ON_RANDOM, "imp-long-on-random-mask")),
    "8": FigureSpec("8", "ImageNet: published medians, and ours", "published:figure_8", (), ("imp", "wr", "lrr"),
                    presets=("imagenet", "cifar10")),
    "9": FigureSpec("9", "Batch norm, rewound and kept", "ablations:figure_9", (),
                    ("imp", "imp-bn-kept", "lrr", "lrr-bn-rewind", "imp-long")),
    "10": FigureSpec("10", "With and without warm-up", "ablations:figure_10", (),
                     ("imp", "lrr", "imp-without-warmup", "lrr-without-warmup", "imp-long"),
                     also={"warm-up": _RULES}),
    "11": FigureSpec("11", "Pruning criteria times rewind rule", "sweeps:figure_11", (), (),
                     sweeps={"criterion": _RULES}),
    "12": FigureSpec("12", "Sign flips by layer and level", "sign_flips:figure_12", (), _RULES,
                     shows_accuracy=False),
    "13": FigureSpec("13", "Training loss over sparsity", "loss:figure_13", (),
                     ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "imp-long"), shows_accuracy=False),
    "14": FigureSpec("14", "The neuron over the number of inputs", "neuron_dimension:figure_14", ("dimension",), ()),
    "15": FigureSpec("15", "The neuron on finite samples with label noise", "neuron_samples:figure_15",
                     ("sample-size", "mask-recovery"), ()),
    "16": FigureSpec("16", "Sensitivity to the prune rate", "sweeps:figure_16", (), (),
                     sweeps={"prune-rate": _RULES}),
    "17": FigureSpec("17", "Sensitivity to the learning-rate schedule", "sweeps:figure_17", (), (),
                     sweeps={"schedule": _RULES}),
    "18": FigureSpec("18", "Another architecture", "sweeps:figure_18", (), (), sweeps={"model": _RULES}),
    "basins": FigureSpec("basins", "Who learns, for any balance", "neuron_basins:figure_basins", ("basins",), ()),
    "pruned-samples": FigureSpec("pruned-samples", "The neuron on samples, from the authors' and the balanced start",
                                 "neuron_pruned:figure_pruned_samples", ("pruned-samples",), ()),
    "large-steps": FigureSpec("large-steps", "Where gradient descent parts from the flow",
                              "neuron_descent:figure_large_steps", ("large-steps",), ()),
    "hidden-neurons": FigureSpec("hidden-neurons", "IMP and LRR on several hidden neurons",
                                 "neuron_hidden:figure_hidden_neurons", ("hidden-neurons",), ()),
    "factorial": FigureSpec("factorial", "Signs or magnitudes: the 2x2 test", "factorial:figure_factorial",
                            ("factorial",), _CELLS),
    "cyclic": FigureSpec("cyclic", "Is cyclic training of a random mask as good as LRR?", "accuracy:figure_cyclic", (),
                         ("lrr", "cyclic-random"), more=("sculpt", "lrr-on-random-mask")),
    "signs": FigureSpec("signs", "Signs from elsewhere, and signs that are held", "accuracy:figure_signs", (),
                        ("imp", "lrr", "sign"), more=("sign-shuffled", "signs-of-lrr", "signs-of-lrr-shuffled",
                                                      "imp-fixed-signs", "lrr-fixed-signs")),
    "mask-convergence": FigureSpec("mask-convergence", "Does the mask change when a level is trained longer?",
                                   "masks:figure_mask_convergence", (), (),
                                   sweeps={"mask-convergence": _RULES}, shows_accuracy=False),
    "connectivity": FigureSpec("connectivity", "Barriers between IMP's and LRR's networks, and the signs they share",
                               "connectivity:figure_connectivity", (), _RULES, connectivity=True,
                               shows_accuracy=False),
    "width": FigureSpec("width", "LRR's lead over the width of the network", "sweeps:figure_width", (), (),
                        sweeps={"width": _RULES}),
    CLAIMS_FIGURE: claims_figure(),
}  # fmt: skip


def figures_under(protocol: str) -> list[str]:
    """The figures that are drawn under a protocol: all, or where it is not ours those of networks."""
    return [name for name, spec in FIGURES.items() if spec.shows_networks or not protocol_mark(protocol)]


def check_protocol(figure_id: str, protocol: str) -> str:
    """Return a figure's id if it is drawn under the protocol.

    Raises:
        NoProtocol: it shows the neuron alone.
    """
    if figure_id not in figures_under(protocol):
        raise NoProtocol(f"figure {figure_id} shows the neuron alone, which has no protocol: leave out --protocol")
    return figure_id
