"""Places for panels: even rows, in which no place stays empty, and the legend below them."""

import math
from collections.abc import Sequence

from figures.plots import style
from figures.plots.builder import FigureBuilder

# panels; letters of a title in the width of two columns
MOST_IN_A_ROW = 3
LETTERS_ACROSS = 104


def title_beyond(axes) -> None:
    """Let the title of narrow axes extend over the axes at their right.

    The layout engine would otherwise widen the narrow axes for it.
    """
    text = axes.get_title(loc="left")
    pad = style.RC["axes.titlepad"]
    axes.set_title("\n".join(" " for _ in text.split("\n")), loc="left")  # keeps the height
    label = axes.annotate(text, (0, 1), (0, pad), "axes fraction", textcoords="offset points", annotation_clip=False)
    label.set(fontsize=axes.title.get_fontsize(), va="baseline", ha="left", gid="title")
    label.set_in_layout(False)


def even_rows(count: int, most: int = MOST_IN_A_ROW) -> list[int]:
    """The number of panels in each row for `count` panels: few rows, as even as possible."""
    rows = -(-count // most)
    least, longer = divmod(count, rows)
    return [least + 1] * longer + [least] * (rows - longer)


def joined_rows(blocks: Sequence[int]) -> list[int]:
    """The number of panels in each row for blocks of panels, a row for each block.

    A panel alone in its row joins the row above it where there is room.
    """
    rows: list[int] = []
    for count in blocks:
        if count == 1 and rows and rows[-1] < MOST_IN_A_ROW:
            rows[-1] += 1
        else:
            rows.append(count)
    return rows


def row_cells(figure, rows: Sequence[int]) -> list:
    """Places for panels in rows that all fill the width: no place stays empty.

    `rows`: the number of panels in each row.
    """
    columns = math.lcm(*rows)
    grid = figure.add_gridspec(len(rows), columns)
    return [
        grid[row, place * columns // count : (place + 1) * columns // count]
        for row, count in enumerate(rows)
        for place in range(count)
    ]


def letters_above(axes) -> int:
    """The number of letters of a title that fit above a panel, from its share of the width."""
    place = axes.get_subplotspec()
    return LETTERS_ACROSS * len(place.colspan) // place.get_gridspec().ncols


def add_blocks(sheet: FigureBuilder, blocks: Sequence[int]) -> list[list]:
    """The axes of blocks of panels, in the rows of `joined_rows`; `blocks`: the number of panels in each."""
    axes = iter([sheet.figure.add_subplot(cell) for cell in row_cells(sheet.figure, joined_rows(blocks))])
    return [[next(axes) for _ in range(count)] for count in blocks]


def legend_below(sheet: FigureBuilder, axes_list: Sequence, columns: int) -> None:
    """Draw one legend below the whole figure, with each label once."""
    found = {}
    for axes in axes_list:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found[label] = handle  # the last one: a later panel shows an arm's line where the first has markers only
    if found:
        sheet.figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns)
