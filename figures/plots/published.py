"""Figure 8: ImageNet. Published medians of other authors, and this project's results.

The latter are drawn if there are any. Pure: records in, a drawing out.
"""

from dataclasses import dataclass

from figures.analysis.table import arm_curve, frame
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, new_sheet
from figures.plots.captions import accuracy as captions
from figures.plots.choose import SMOKE, arms_there, dataset_not_run, panel_name
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.panels import density_axis, plot_curve
from figures.plots.sentences import format_data, format_seeds
from figures.plots.style import ArmStyle
from figures.results.network import Records, StudyResults

SOURCE = "Renda, Frankle and Carbin, Comparing Rewinding and Fine-tuning in Neural Network Pruning, ICLR 2020"
PUBLISHED_DENSITIES = (0.8, 0.512, 0.328, 0.21, 0.134, 0.107)
OUR_ARMS = ("imp", "wr", "lrr")


@dataclass(frozen=True)
class Published:
    """Published median test accuracies of other authors, in percent as they print them.

    Iterative pruning, 20 % of the weights per level. `late`: weights rewound to a late epoch; `lrr`: learning rate
    rewinding; `initial`: rewound to initialisation, at the last of `PUBLISHED_DENSITIES` alone; `dense`: unpruned.
    `preset`: this project's preset for the same network and data.
    """

    title: str
    preset: str
    dense: float
    late: tuple[float, ...]
    lrr: tuple[float, ...]
    initial: float


# released data of Renda et al. (2020), see SOURCE: medians
PUBLISHED = (
    Published("ImageNet, ResNet50", "imagenet", 76.17, (76.32, 76.32, 76.33, 76.17, 75.73, 75.33),
              (76.35, 76.71, 76.49, 76.21, 75.86, 75.48), 68.38),
    Published("CIFAR-10, ResNet20", "cifar10", 91.71, (91.76, 91.99, 92.03, 91.67, 91.41, 91.00),
              (92.11, 92.29, 92.12, 91.89, 91.47, 91.01), 86.67),
)  # fmt: skip
_LATE = ArmStyle("theirs: WR, to a late epoch", style.GREEN, "d", (0, (2, 1)), filled=False)
_LRR = ArmStyle("theirs: LRR", "lrr", "s", (0, (2, 1)), filled=False)
_INITIAL = ArmStyle("theirs: rewound to initialisation", "imp", "o", "none", filled=False)


def figure_8(records: Records) -> Drawing:
    """Figure 8: ImageNet and CIFAR-10, published medians and this project's results where they exist."""
    sheet = new_sheet(style.TWO_COLUMNS, 2.75)
    grid = sheet.figure.subplots(1, len(PUBLISHED))
    curves = {
        published.preset: _panel(sheet, axes, published, records)
        for axes, published in zip(grid, PUBLISHED, strict=True)
    }
    legend_below(sheet, grid, 3)
    run = any(r.study.plain_preset == "imagenet" for r in records.judged.studies)
    status = "run" if run and curves["imagenet"]["ours"] else "not run"
    sheet.plotted |= {"status": status, "source": SOURCE, **curves}
    measured = " and as we measured it" if any(one["ours"] for one in curves.values()) else ""
    return finish(sheet, captions.PUBLISHED_CAPTION, _data(records), measured=measured, status=status, source=SOURCE)


def _data(records: Records) -> str:
    """The second sentence of the caption: the n of the published medians is not recorded here."""
    studies = [results for published in PUBLISHED if (results := _study_of(published, records))]
    with_arms = [(results, arms_there(results, OUR_ARMS, "")[0]) for results in studies]
    ours = format_data([(results, arms) for results, arms in with_arms if arms]) or "n = 0 seeds"
    return f"medians of Renda, Frankle and Carbin (2020), n not recorded here; ours: {ours}"


def _study_of(published: Published, records: Records) -> StudyResults | None:
    """This project's study of the same network and data, if it has been run."""
    return next((results for results in records.studies if results.study.plain_preset == published.preset), None)


def _panel(sheet: FigureBuilder, axes, published: Published, records: Records) -> dict:
    """The published medians of one network and data set, with this project's results on top."""
    theirs = {
        "dense": published.dense / 100,
        "wr late": [value / 100 for value in published.late],
        "lrr": [value / 100 for value in published.lrr],
        "initial": published.initial / 100,
    }
    axes.plot(PUBLISHED_DENSITIES, theirs["wr late"], **_LATE.line_kwargs())
    axes.plot(PUBLISHED_DENSITIES, theirs["lrr"], **style.with_colour(_LRR).line_kwargs())
    axes.plot(PUBLISHED_DENSITIES[-1:], [theirs["initial"]], **style.with_colour(_INITIAL).line_kwargs())
    axes.axhline(theirs["dense"], color=style.MUTED, linewidth=0.8, linestyle=":", label="theirs: dense")
    ours, words, missing, densities = _ours(axes, published, records)
    sheet.missing += missing
    density_axis(axes, [*PUBLISHED_DENSITIES, *densities])
    axes.set_ylabel("test accuracy")
    axes.grid(axis="y")
    title = f"{published.title} (ours: {SMOKE})" if SMOKE in words else published.title
    sheet.add_panel_label(axes, title, f"{published.title}: {words or 'published medians alone'}.", 44)
    return {"density": list(PUBLISHED_DENSITIES), "theirs": theirs, "ours": ours}


def _ours(axes, published: Published, records: Records) -> tuple[dict, str, list[Missing], list[float]]:
    """Draw this project's curves of the preset.

    Returns the curves by arm, the text that names their seeds, what is missing, and their densities.
    """
    results = _study_of(published, records)
    if results is None:
        return {}, "", [dataset_not_run(published.title, published.preset, records.protocol)], []
    there, missing = arms_there(results, OUR_ARMS, published.title)
    table = frame(results, there)
    curves = {arm: arm_curve(table, arm) for arm in there}
    for arm, found in curves.items():
        plot_curve(axes, arm, found)
    words = f"ours on {panel_name(results.study)}: {format_seeds(results, there)}" if there else ""
    return curves, words, missing, [density for found in curves.values() for density in found["density"]]
