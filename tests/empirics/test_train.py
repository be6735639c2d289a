"""The loop over levels and the loop over batches can each be read on one screen, and know what they must."""

import ast
import inspect

from empirics import train
from empirics.config import RunConfig
from empirics.runs import levels
from empirics.runs.training import training_settings
from tests import ROOT


def lines_between(first: str, last: str, text: str) -> int:
    """The number of lines from the one that begins with `first` to the last one that begins with `last`."""
    lines = [line.strip() for line in text.splitlines()]
    begin = next(n for n, line in enumerate(lines) if line.startswith(first))
    return max(n for n, line in enumerate(lines) if line.startswith(last)) - begin + 1


def test_from_the_loop_over_epochs_to_the_step_are_at_most_60_lines():
    text = (ROOT / "empirics/train.py").read_text()
    assert lines_between("for epoch in cycle.epochs:", "optimizer.step()", text) <= 60


def test_the_loop_over_levels_is_prune_rewind_train_save():
    source = inspect.getsource(levels.run)
    (loop,) = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.For)]
    assert loop.end_lineno - loop.lineno < 10
    called = [node.func.id if isinstance(node.func, ast.Name) else node.func.attr
              for node in ast.walk(loop) if isinstance(node, ast.Call)]  # fmt: skip
    verbs = ("level_masks", "level_start", "train_level", "save")
    assert [name for name in called if name in verbs] == sorted(verbs, key=source.index)


def test_the_loop_over_batches_takes_numbers_and_not_the_settings_of_a_run():
    assert "config" not in (ROOT / "empirics/train.py").read_text().replace("`RunConfig`", "").replace("RunConfig.", "")
    numbers = training_settings(RunConfig(batch_size=32, micro_batch=8))
    assert (numbers.batch_size, numbers.micro_batch, numbers.momentum) == (32, 8, 0.9)
    assert all(isinstance(value, int | float | str) for value in vars(numbers).values())


def test_what_a_cycle_is_stands_where_it_is_trained():
    assert "A cycle is one run of the schedule" in train.__doc__
