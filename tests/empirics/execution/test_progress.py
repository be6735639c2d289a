import io
from types import SimpleNamespace

import pytest

from empirics.execution import progress
from empirics.execution.processes import TaskEvent
from empirics.execution.tasks import Task
from empirics.studies import presets

CONFIG = presets.arm_config("quick", "imp-long")


def events() -> list[TaskEvent]:
    """A run of the control that dies once, starts again, and ends with a remark that looks like markup."""
    task = Task(CONFIG, 2, ())
    epochs = [
        TaskEvent(
            "report", task, report=SimpleNamespace(level=level, epoch=epoch, test_accuracy=0.5, images_per_s=10.0)
        )
        for level in (6, 7)
        for epoch in range(16 * (level + 1))
    ]
    died = TaskEvent("died", task, message="its process ended with code -9")
    last = TaskEvent("finished", task, message="a remark with [/brackets]")
    return [TaskEvent("started", task), epochs[0], died, TaskEvent("started", task), *epochs, last]


def test_off_a_terminal_there_is_one_line_a_level_and_one_a_remark():
    stream = io.StringIO()
    with progress.reporter([Task(CONFIG, 2, ())], stream) as report:
        for event in events():
            report(event)
    lines = stream.getvalue().splitlines()
    assert ["level 6" in line for line in lines] == [False, True, False, False]
    assert "died: its process ended" in lines[0] and f"{CONFIG.name} (seed 2) level 7: test accuracy 0.500" in lines[2]
    assert lines[3].endswith("finished: a remark with [/brackets]") and "1/1 runs done" in lines[3]


def test_bars_follow_the_same_events_to_their_end(capsys):
    task = Task(CONFIG, 2, ())
    bars = progress.Bars([task])
    with bars as report:
        for event in events():
            report(event)
        assert bars._progress.tasks[0].completed == task.epochs + 1, "the epoch before it died was trained twice"
        assert len(bars._progress.tasks) == 1, "a bar goes when its run ends"
    assert "[/brackets]" in capsys.readouterr().err


@pytest.mark.parametrize("terminal, kind", [(True, progress.Bars), (False, progress.Lines)])
def test_a_terminal_gets_bars(terminal, kind):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    assert isinstance(progress.reporter([Task(CONFIG, 0, ())], stream), kind)
