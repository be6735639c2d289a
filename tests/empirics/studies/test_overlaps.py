import json
from pathlib import Path

import numpy as np
import pytest

from empirics import models
from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.runs.context import initial_network
from empirics.runs.level_start import load_signs
from empirics.runs.mask_sources import load_masks
from empirics.storage.run_folder import RunFolder
from empirics.studies import overlaps
from empirics.studies.plan import Study, plan_study, train
from tests.empirics.tiny_runs import run_arms, setup_in

pytestmark = pytest.mark.slow

ARMS = ["imp", "lrr", "sign", "imp-on-lrr-mask", "lrr-on-random-mask"]


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_digits):
    setup = setup_in(tmp_path_factory.mktemp("results"), tiny_digits)
    return setup, run_arms(ARMS, setup, epochs=1)


def record(study) -> dict:
    setup, configs = study
    arms = {name: config.name for name, config in configs.items()}
    return overlaps.study_overlaps(setup.results, {"study": "tiny", "arms": arms, "seeds": [0], "levels": 3})


def row(found: dict, one: str, other: str) -> dict:
    return next(pair for pair in found["pairs"] if pair["arms"] == [one, other])


def test_overlaps_equal_a_count_over_unpacked_masks_and_signs(study):
    setup, configs = study
    layers = models.prunable_weights(initial_network(configs["imp"], 0, setup.dataset))
    for one, other in (("lrr", "imp"), ("sign", "lrr"), ("lrr-on-random-mask", "imp")):
        found = row(record(study), one, other)
        for k, level in enumerate(found["levels"]):
            folders = [RunFolder(setup.results, configs[name].name, 0) for name in (one, other)]
            masks = [load_masks(folder, level, layers) for folder in folders]
            ends = [load_signs(folder, level, "end", mask) for folder, mask in zip(folders, masks, strict=True)]
            both = {n: masks[0][n] & masks[1][n] for n in layers}
            assert found["shared"][k] == m.count(both)
            assert found["same_sign"][k] == sum(int((both[n] & (ends[0][n] == ends[1][n])).sum()) for n in layers)
            assert [found["n_kept"][0][k], found["n_kept"][1][k]] == [m.count(mask) for mask in masks]


def test_an_arm_on_borrowed_masks_shares_all_of_them_with_their_source(study):
    found = row(record(study), "imp-on-lrr-mask", "lrr")
    assert found["levels"] == [1, 2] and found["shared"] == found["n_kept"][0] == found["n_kept"][1]
    assert row(record(study), "lrr-on-random-mask", "imp")["shared"] != found["shared"]


def test_every_arm_is_held_against_imp_and_lrr_once(study):
    pairs = [tuple(pair["arms"]) for pair in record(study)["pairs"]]
    assert len(pairs) == len(set(pairs)) and ("lrr", "imp") in pairs and ("imp", "lrr") not in pairs
    assert all(pair[0] != pair[1] and pair[1] in ("imp", "lrr") for pair in pairs)


def test_padding_bits_of_the_last_byte_count_for_nothing():
    whole = signs.pack({"w": np_bits(9)})
    assert overlaps.shared_weights(whole, whole) == 9
    assert overlaps.shared_signs((whole, whole), (signs.pack({"w": ~np_bits(9)}), signs.pack({"w": ~np_bits(9)}))) == 9


def np_bits(n: int):
    import torch

    return torch.from_numpy(np.ones(n, bool))


def test_levels_that_one_arm_lacks_are_left_out(study):
    setup, configs = study
    arms = {"imp": configs["imp"].name, "lrr": "lrr-not-there"}
    study_ = {"study": "tiny", "arms": arms, "seeds": [0, 1], "levels": 3}
    assert overlaps.study_overlaps(setup.results, study_)["pairs"] == []


def test_a_study_writes_its_overlaps_beside_it(tmp_path):
    overrides = dict(model="resnet8", width=4, epochs=1, levels=3, batch_size=256, warmup_epochs=0)
    command = Study(results=tmp_path, seeds=(0,), workers=1)
    plan = plan_study(command, ("imp", "lrr"), overrides)
    assert train([plan], command) == (0, 3)
    (file,) = Path(tmp_path / "overlaps").glob("*.json")
    found = json.loads(file.read_text())
    assert found["kind"] == "overlaps" and found["study"] == file.stem and row(found, "lrr", "imp")["levels"] == [1, 2]
    file.unlink()
    assert train([plan_study(command, ("imp", "lrr"), overrides)], command) == (0, 0)
    assert json.loads(file.read_text()) == found, "made again where it is missing"
    file.write_text(json.dumps({**found, "of_arms": {"imp": "another"}, "pairs": []}))
    assert train([plan_study(command, ("imp", "lrr"), overrides)], command) == (0, 0)
    assert json.loads(file.read_text()) == found, "and where it was counted over other arms"
