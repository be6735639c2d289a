"""The registry of figures. To add one: a function Records -> Drawing in a plots file, and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class FigureSpec:
    """A figure: its title, the function that draws it, what it reads, and the command that makes the picture.

    `function` is "module:name", imported when the figure is drawn: matplotlib stays unloaded while nothing changes.
    `theory` lists experiments, `arms` lists arms of every study: files of other results do not make it redraw.
    `signs`: it needs the arms' sign statistics. `variations`: by name, the arms that it reads at every value of that
    variation.
    """

    id: str
    title: str
    function: str
    theory: tuple[str, ...]
    arms: tuple[str, ...]
    signs: bool = False
    variations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The command that makes this figure again."""
        return f"paper_repro.py figures {self.id}"

    @property
    def draw(self) -> Callable:
        """The drawing function, `Records -> Drawing`; raises `NothingToDraw` where nothing has been run."""
        module, name = self.function.split(":")
        return getattr(import_module(f"figures.{module}"), name)


_RANDOM = ("imp-on-shuffled-mask", "lrr-on-shuffled-mask", "imp-on-random-mask", "lrr-on-random-mask")
_LONG = ("imp-long", "imp-long-on-shuffled-mask", "imp-long-on-random-mask")
_CELLS = ("imp", "sign", "magnitude", "lrr-bn-rewind", "lrr", "imp-long")

FIGURES: dict[str, FigureSpec] = {
    "1": FigureSpec("1", "Which signs learn, and why IMP fails", "theory_plots:figure_1", ("quadrants", "stories"), ()),
    "2": FigureSpec("2", "IMP and LRR on a neuron and on other masks", "empirics_plots:figure_2",
                    ("pruning-iterations",), ("imp", "lrr", *_RANDOM, "lrr-on-imp-mask", *_LONG)),
    "3": FigureSpec("3", "Does the mask that LRR learnt help IMP?", "empirics_plots:figure_3", (),
                    ("imp", "lrr", "imp-on-lrr-mask", "imp-long")),
    "4": FigureSpec("4", "Does LRR optimise better within the IMP mask?", "empirics_plots:figure_4", (),
                    ("imp", "lrr", "lrr-on-imp-mask", "imp-long")),
    "5": FigureSpec("5", "When signs settle, and how often they switch", "empirics_plots:figure_5", (),
                    ("imp", "lrr"), signs=True),
    "14": FigureSpec("14", "The neuron over the number of inputs", "neuron_plots:figure_14", ("dimension",), ()),
    "15": FigureSpec("15", "The neuron on finite samples with label noise", "sample_plots:figure_15",
                     ("sample-size", "mask-recovery"), ()),
    "basins": FigureSpec("basins", "Who learns, for any balance", "neuron_plots:figure_basins", ("basins",), ()),
    "large-steps": FigureSpec("large-steps", "Where gradient descent parts from the flow",
                              "descent_plots:figure_large_steps", ("large-steps",), ()),
    "hidden-neurons": FigureSpec("hidden-neurons", "IMP and LRR on several hidden neurons",
                                 "hidden_plots:figure_hidden_neurons", ("hidden-neurons",), ()),
    "factorial": FigureSpec("factorial", "Signs or magnitudes: the 2x2 test", "factorial_plot:figure_factorial",
                            ("factorial",), _CELLS),
}  # fmt: skip
