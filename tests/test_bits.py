"""Moves and renames change no bit: a tiny study of every arm and the theory at small sizes, against their record."""

import json

import numpy as np
import pytest

from tests.support import bits

pytestmark = pytest.mark.slow

RECORD = json.loads(bits.RECORD.read_text())


@pytest.fixture(scope="module")
def probe():
    return bits.made("probe")


@pytest.mark.parametrize("part", bits.PARTS)
def test_every_bit_of_the_tiny_studies_is_as_recorded(part, probe):
    others = [name for name in RECORD["probe"] if probe[name] != RECORD["probe"][name]]
    if others:
        pytest.skip(f"libraries that compute other bits than those of the record: {', '.join(others)}")
    found, recorded = bits.made(part), RECORD[part]
    assert sorted(found) == sorted(recorded)
    assert [name for name in recorded if found[name] != recorded[name]] == []


def test_a_hash_sees_the_last_bit_the_shape_the_type_and_the_sign_of_zero():
    one = np.array([1.0, 0.0])
    others = (np.nextafter(one, 2), one[None], one.astype("f4"), np.array([1.0, -0.0]), [1, 0], np.array(["1", "0"]))
    assert len({bits.sha(value) for value in (one, *others)}) == 1 + len(others)
    assert bits.sha(one, one) != bits.sha(one)


def test_numbers_leave_out_what_differs_from_run_to_run_and_nothing_else():
    record = {"seconds": 3.0, "schema": 1, "layers": {"a": {"n_kept": 2, "name": "x"}}, "loss": [0.5, None, True]}
    assert bits.numbers(record) == [2.0, 0.5, 1.0]
