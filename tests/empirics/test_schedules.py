import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirics.config import ConfigError
from empirics.schedules import SCHEDULES, kept_weights, learning_rate


def rates(schedule: str, total: int = 100, warmup: int = 10, milestones=(0.5, 0.75)) -> list[float]:
    settings = dict(total=total, warmup=warmup, peak=0.1, schedule=schedule, milestones=milestones)
    return [learning_rate(step, **settings) for step in range(total)]


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(total=st.integers(2, 300), part=st.floats(0, 0.9))
def test_every_schedule_stays_between_zero_and_its_peak_and_reaches_it(schedule, total, part):
    lr = rates(schedule, total, int(part * total))
    assert all(0 <= rate <= 0.1 * (1 + 1e-12) for rate in lr)
    assert max(lr) == pytest.approx(0.1)


def test_warm_up_is_linear_by_step():
    assert rates("cosine")[:10] == pytest.approx([0.01 * k for k in range(1, 11)])


def test_a_warm_up_does_not_shift_the_milestones_behind_it():
    with_warmup, without = rates("step", warmup=10), rates("step", warmup=0)
    assert with_warmup[10:] == without[10:]
    assert [with_warmup[k] for k in (49, 50, 74, 75)] == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_cosine_and_triangular_fall_over_the_steps_that_remain():
    cosine, triangular = rates("cosine"), rates("triangular")
    assert cosine[10] == triangular[10] == pytest.approx(0.1)
    assert cosine[55] == triangular[55] == pytest.approx(0.05)
    assert 0 < cosine[99] < 1e-4 and triangular[99] == pytest.approx(0.1 / 90)


def test_kept_weights_follow_the_definition_for_the_digits_network():
    assert [kept_weights(67_848, 0.5, level) for level in range(8)] == [
        67848, 33924, 16962, 8481, 4240, 2120, 1060, 530,
    ]  # fmt: skip


def test_pruning_level_by_level_with_rounding_would_drift_from_the_definition():
    n, kept = 999, 999
    for _ in range(20):
        kept = round(kept * 0.8)
    assert kept != kept_weights(n, 0.8**0 - 0.8, 20), "the definition rounds once, from the dense count"


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        learning_rate(5, total=10, warmup=0, peak=0.1, schedule="cosin")
