"""A few hundred points of what `make bench` measures on many: closed form and verdicts against exact arithmetic."""

import numpy as np
import pytest

from tests.bench import accuracy

pytestmark = pytest.mark.slow


def test_the_closed_form_is_exact_from_1e_minus_75_to_1e75_and_near_the_separatrix_as_far_as_its_condition_allows():
    worst = accuracy.worst_closed_form(np.random.default_rng(1), 600)
    assert len(worst) == 2 and all(share < 1 for share, _ in worst.values()), worst


def test_a_solution_off_by_a_millionth_is_noticed(monkeypatch):
    monkeypatch.setattr(accuracy, "closed_form", lambda a0, w0, t: (a0 * (1 + 1e-6), w0))
    worst = accuracy.worst_closed_form(np.random.default_rng(1), 100)
    assert all(share > 1 for share, _ in worst.values())


def test_no_verdict_differs_from_rational_arithmetic():
    assert accuracy.wrong_verdicts(np.random.default_rng(1), 8000) == 0


@pytest.mark.parametrize("gap", [1e-11, -1e-11])
def test_a_verdict_that_forgets_the_band_or_moves_the_separatrix_is_noticed(monkeypatch, gap):
    true = accuracy.verdicts
    monkeypatch.setattr(accuracy, "verdicts", lambda a0, w0: true(a0 * (1 + gap), w0))
    assert accuracy.wrong_verdicts(np.random.default_rng(1), 8000) > 50
