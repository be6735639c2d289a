import pytest

from figures.claims.verdicts import (
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    REVERSED,
    Row,
    beside_control,
    conjunction,
    verdict_of,
)


@pytest.mark.parametrize(
    ("low", "high", "n", "verdict"),
    [
        (0.01, 0.1, 4, REPRODUCED),
        (0.1, 3.0, 4, REPRODUCED),
        (-0.1, 0.1, 4, NOT_REPRODUCED),
        (0.0, 0.0, 4, NOT_REPRODUCED),
        (-0.3, -0.1, 4, REVERSED),
        (-0.1, 0.3, 4, INCONCLUSIVE),
        (0.0, 0.2, 4, INCONCLUSIVE),
        (0.1, 3.0, 3, "inconclusive (n = 3)"),
        (None, None, 1, "inconclusive (n = 1)"),
    ],
)
def test_the_rule_of_the_verdict(low, high, n, verdict):
    assert verdict_of(low, high, 0.2, n) == verdict


def row(verdict, role="effect"):
    return Row("r", 1.0, 0.5, 1.5, 6, "accuracy points", None, None, verdict, 0, role, "s", "c")


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([REPRODUCED, INCONCLUSIVE], INCONCLUSIVE),
        ([REPRODUCED, NOT_RUN], NOT_RUN),
        ([REPRODUCED, NOT_REPRODUCED], NOT_REPRODUCED),
        ([NOT_RUN, NOT_REPRODUCED], NOT_REPRODUCED),
        ([REVERSED, REPRODUCED], NOT_REPRODUCED),
        ([REVERSED, REVERSED], REVERSED),
        ([REPRODUCED, "inconclusive (n = 3)"], "inconclusive (n = 3)"),
    ],
)
def test_a_conjunction_needs_every_part(parts, verdict):
    assert conjunction([row(part) for part in parts]) == verdict


def test_rows_beside_and_controls_do_not_decide():
    assert (
        conjunction([row(REPRODUCED), row(NOT_REPRODUCED, "control"), row(NOT_REPRODUCED, "secondary")]) == REPRODUCED
    )


def test_reproduced_is_printed_only_beside_a_control_that_was_run():
    assert beside_control([row(REPRODUCED), row(NOT_RUN, "control")]) == "inconclusive (control not run)"
    assert beside_control([row(REPRODUCED), row(NOT_REPRODUCED, "control")]) == REPRODUCED
    assert beside_control([row(NOT_REPRODUCED), row(NOT_RUN, "control")]) == NOT_REPRODUCED
