import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from empirics.pruning import signs


def bits(*rows: str) -> list[signs.Signs]:
    return [{"w": torch.tensor([c == "-" for c in row])} for row in rows]


def test_the_three_readings_on_a_run_worked_by_hand():
    # four weights, levels 0 to 2, the last weight is pruned at the end
    initial, start1, start2 = bits("++++", "+-++", "++-+")
    ends = bits("+-++", "--++", "+--+")
    keep = torch.tensor([True, True, True, False])
    found = signs.run_statistics(ends, [initial, start1, start2], initial, {"w": keep})["w"]
    assert found["survivors"] == 3
    assert found["flips"] == {"level_start": [1, 1, 1], "initial": [1, 2, 2], "previous": [1, 1, 2]}
    # weight 0 flips at levels 1 and 2, weight 1 at 0, weight 2 at 2
    assert found["settles_at"] == [0, 1, 0, 2]
    assert found["settles_before_last"] == [1, 1, 1]
    assert found["switches"] == [0, 2, 1, 0]


def test_for_a_run_that_rewinds_to_initialisation_readings_one_and_two_agree():
    initial, end = bits("++--", "+--+")
    moments = {"level_start": initial, "initial": initial, "previous": end}
    flips = signs.level_flips(end, moments, {"w": torch.ones(4, dtype=torch.bool)})["w"]
    assert flips == {"level_start": 2, "initial": 2, "previous": 0}


def test_a_moment_that_does_not_exist_is_null_and_not_zero():
    (end,) = bits("+-")
    flips = signs.level_flips(end, {"level_start": end, "initial": end, "previous": None}, {"w": torch.ones(2).bool()})
    assert flips["w"]["previous"] is None


def test_pruned_weights_never_count():
    initial, end = bits("++", "--")
    moments = dict.fromkeys(signs.READINGS, initial)
    assert signs.level_flips(end, moments, {"w": torch.tensor([True, False])})["w"]["initial"] == 1


@given(st.integers(1, 6), st.integers(0, 12), st.integers(0, 2**31))
def test_counts_add_up_and_agree_with_a_loop_over_weights(levels, n, seed):
    rng = np.random.default_rng(seed)
    draw = lambda: {"w": torch.from_numpy(rng.random(n) < 0.5)}  # noqa: E731
    initial, ends, starts = draw(), [draw() for _ in range(levels + 1)], [draw() for _ in range(levels + 1)]
    keep = torch.from_numpy(rng.random(n) < 0.6)
    found = signs.run_statistics(ends, starts, initial, {"w": keep})["w"]
    settles, switches = [], []
    for i in keep.nonzero().flatten().tolist():
        history = [bool(initial["w"][i])] + [bool(end["w"][i]) for end in ends]
        flipped = [level for level in range(levels + 1) if history[level + 1] != history[level]]
        settles.append(flipped[-1] + 1 if flipped else 0)
        switches.append(len(flipped))
    assert found["settles_at"] == np.bincount(settles, minlength=levels + 2).tolist()
    assert found["switches"] == np.bincount(switches, minlength=levels + 2).tolist()
    assert sum(found["switches"]) == sum(found["settles_before_last"]) == found["survivors"] == int(keep.sum())
    assert sum(k * count for k, count in enumerate(found["switches"])) == sum(found["flips"]["previous"])


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_packing_is_undone_by_unpacking(n, seed):
    value = {"w": torch.from_numpy(np.random.default_rng(seed).random((n, 3)) < 0.5)}
    packed = signs.pack(value)
    assert packed["w"].nbytes == (3 * n + 7) // 8
    assert torch.equal(signs.unpack(packed, {"w": (n, 3)})["w"], value["w"])
