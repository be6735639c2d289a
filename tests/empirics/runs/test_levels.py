import dataclasses
import json
import math
import shutil
import sys

import pytest
import torch

from empirics import models, train
from empirics.data import in_memory
from empirics.execution.estimate import check_run
from empirics.pruning import masks as m
from empirics.pruning import rewinding, signs
from empirics.runs import level_start, levels
from empirics.runs.context import RunContext, initial_network
from empirics.runs.mask_sources import load_masks, random_masks
from empirics.runs.training import rate_at, training_settings
from empirics.schedules import kept_weights
from empirics.seeding import generator
from empirics.storage.run_folder import INITIAL_TENSORS, MASK_TENSORS, WEIGHT_TENSORS, RunFolder, StoreError
from empirics.studies.arms import ARMS, differs
from tests import ROOT
from tests.empirics.tiny_runs import TINY, arm, run_arms, setup_in
from tests.support.processes import run

pytestmark = pytest.mark.slow

SETTINGS = TINY | {"warmup_epochs": 1}
ALL = [name for name in ARMS if differs(name, SETTINGS)]
# the controls train their last levels alone, and SCULPT draws each level's mask anew
NESTED = [name for name in ALL if not name.startswith(("imp-long", "sculpt"))]


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_digits):
    """Every arm of the registry, three levels, on real digits. Tests read it and do not write to it."""
    setup = setup_in(tmp_path_factory.mktemp("results"), tiny_digits)
    # four levels, since the control imp-long trains the last two and needs a level 1 before them
    return setup, run_arms(ALL, setup, levels=4, warmup_epochs=1)


def folder(study, name: str) -> RunFolder:
    setup, configs = study
    config = configs["imp"].dense if name == "dense" else configs[name]
    return RunFolder(setup.results, config.name, 0)


def weights(study, name: str, level: int) -> dict[str, torch.Tensor]:
    return folder(study, name).load_tensors(level, WEIGHT_TENSORS)


def masks(study, name: str, level: int) -> m.Masks:
    setup, configs = study
    layers = models.prunable_weights(initial_network(configs["imp"], 0, setup.dataset))
    return load_masks(folder(study, name), level, layers)


@pytest.mark.parametrize("name", ALL)
def test_every_saved_level_keeps_the_exact_count_and_zeros_elsewhere(study, name):
    _, configs = study
    total = None
    for level in configs[name].trained_levels:
        kept, state = masks(study, name, level), weights(study, name, level)
        total = sum(mask.numel() for mask in kept.values())
        record = folder(study, name).level_record(level)
        rate = 0.0 if name == "dense-long" else 0.5
        assert m.count(kept) == record["n_kept"] == kept_weights(total, rate, level)
        assert record["density"] == m.density(kept) and record["status"] == "complete"
        for layer, mask in kept.items():
            assert (state[layer][~mask] == 0).all() and (state[layer][mask] != 0).any()


@pytest.mark.parametrize("name", NESTED)
def test_masks_of_every_arm_are_nested_over_levels(study, name):
    for level in (2, 3):
        inner, outer = masks(study, name, level), masks(study, name, level - 1)
        assert all((inner[layer] <= outer[layer]).all() for layer in inner)


@pytest.mark.parametrize("exchanged, own", [("imp-on-lrr-mask", "imp"), ("lrr-on-imp-mask", "lrr")])
def test_level_1_of_a_mask_exchange_arm_equals_its_own_level_1_bit_for_bit(study, exchanged, own):
    one, two = weights(study, exchanged, 1), weights(study, own, 1)
    assert all(torch.equal(one[name], two[name]) for name in two)
    later, other = weights(study, exchanged, 3), weights(study, own, 3)
    assert any(not torch.equal(later[name], other[name]) for name in other), "level 3 has another mask"


@pytest.mark.parametrize("name, source", [("imp-on-lrr-mask", "lrr"), ("lrr-on-imp-mask", "imp"), ("imp-long", "imp")])
def test_an_exchange_arm_uses_the_masks_of_the_same_level_of_its_source(study, name, source):
    for level in (2, 3):
        one, two = masks(study, name, level), masks(study, source, level)
        assert all(torch.equal(one[layer], two[layer]) for layer in two)


def test_both_arms_on_shuffled_and_on_random_masks_share_them(study):
    for kind in ("shuffled", "random"):
        for level in (2, 3):
            group = [f"imp-on-{kind}-mask", f"lrr-on-{kind}-mask", f"imp-long-on-{kind}-mask"]
            first, *others = [masks(study, name, level) for name in group]
            assert all(torch.equal(first[layer], other[layer]) for other in others for layer in first)
    per_layer = [
        {n: int(v.sum()) for n, v in masks(study, name, 3).items()} for name in ("imp", "imp-on-shuffled-mask")
    ]
    assert per_layer[0] == per_layer[1]


@pytest.mark.parametrize("name", ["imp", "sign", "lrr", "magnitude"])
def test_the_signs_at_the_start_of_a_level_follow_the_rewinding_rule(study, name):
    """Recomputed from the saved weights: what the run restarted from is what the rule says."""
    initial, trained, kept = (
        folder(study, "dense").load_tensors(0, INITIAL_TENSORS),
        weights(study, name, 1),
        masks(study, name, 2),
    )
    start = rewinding.restart(name, initial, trained, kept, bn_rewind=True)
    saved = folder(study, name).load_tensors(2, "signs.safetensors")
    expected = signs.pack(signs.sign_bits(start, list(kept)))
    assert all((saved[f"start/{layer}"].numpy() == expected[layer]).all() for layer in kept)


def test_imp_rewinds_to_initialisation_and_lrr_does_not(study):
    for layer, counts in folder(study, "imp").level_record(3)["layers"].items():
        assert counts["flips"]["level_start"] == counts["flips"]["initial"], layer
    lrr = folder(study, "lrr").level_record(1)["layers"].values()
    assert sum(c["flips"]["level_start"] for c in lrr) == sum(c["flips"]["previous"] for c in lrr)
    assert sum(c["flips"]["level_start"] for c in lrr) != sum(c["flips"]["initial"] for c in lrr)


def test_bn_rewind_is_what_parts_the_two_arms_of_each_rule(study):
    for one, two in (("imp", "imp-bn-kept"), ("lrr", "lrr-bn-rewind")):
        a, b = weights(study, one, 1), weights(study, two, 1)
        assert any(not torch.equal(a[name], b[name]) for name in a)
        assert all(torch.equal(masks(study, one, 1)[n], masks(study, two, 1)[n]) for n in masks(study, one, 1))


def test_imp_long_trains_as_many_epochs_as_the_weights_of_lrr_have_seen(study):
    _, configs = study
    for level in (2, 3):
        assert folder(study, "imp-long").level_record(level)["epochs"] == (level + 1) * TINY["epochs"]
        assert folder(study, "imp").level_record(level)["epochs"] == TINY["epochs"]
    assert configs["imp-long"].trained_levels == range(2, 4)
    first = folder(study, "imp-long").level_record(2)["layers"].values()
    assert all(counts["flips"]["previous"] is None for counts in first), "there is no level before its first"


def test_the_schedule_of_imp_long_restarts_with_every_cycle(study):
    lines = [json.loads(line) for line in (folder(study, "imp-long").path / "metrics.jsonl").read_text().splitlines()]
    at_level_2 = [(line["cycle"], line["epoch"]) for line in lines if line["level"] == 2]
    assert at_level_2 == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)]
    assert [line["lr"] for line in lines[:2]] == [line["lr"] for line in lines[2:4]], "the schedule restarts"


@pytest.fixture
def draws(monkeypatch):
    """What the training loop asks of its generators, and the shifts of the batches that are cut from what they give."""
    keys, batches = [], []
    make, cut = train.generator, in_memory.crop_batch

    def spy_generator(seed, purpose, *rest):
        keys.append((seed, purpose, *rest))
        return make(seed, purpose, *rest)

    def spy_crop(images, shifts, flips, pad):
        batches.append((keys[-1], images.clone(), shifts.clone()))
        return cut(images, shifts, flips, pad)

    monkeypatch.setattr(train, "generator", spy_generator)
    monkeypatch.setattr(in_memory, "crop_batch", spy_crop)
    return keys, batches


def test_data_order_in_training_follows_seed_level_and_epoch_over_all_cycles(draws, tiny_digits, tmp_path):
    keys, batches = draws
    setup = setup_in(tmp_path, tiny_digits)
    run_arms(["lrr"], setup, seed=3)
    assert keys == [(3, "data", level, epoch) for level in range(3) for epoch in range(2)]
    keys.clear()
    run_arms(["imp-long"], setup, seed=3, levels=4)
    long = [(level, epoch) for level in (2, 3) for epoch in range(2 * (level + 1))]
    assert [key[2:] for key in keys[-len(long) :]] == long, "later cycles see epochs of their own"
    first = {key: (images, shifts) for key, images, shifts in reversed(batches)}
    expected = in_memory.draw_augmentation(160, 1, False, generator(3, "data", 1, 1))
    images, shifts = first[3, "data", 1, 1]
    assert torch.equal(images, tiny_digits.train.images[expected.order[:32]])
    assert torch.equal(shifts, expected.shifts[:32])
    assert not torch.equal(first[3, "data", 1, 0][0], images), "another epoch, another order"


def test_every_step_of_training_has_the_learning_rate_of_the_schedule(tiny_digits, tmp_path, monkeypatch):
    settings = dict(schedule="step", milestones=(0.5, 0.75), epochs=4, warmup_epochs=1, levels=2)
    seen, step = [], torch.optim.SGD.step

    def spy(self, *args):
        seen.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    run_arms(["imp"], setup_in(tmp_path, tiny_digits), **settings)
    warm, at = [0.2 * (k + 1) / 5 for k in range(5)], [0.2] * 5 + [0.02] * 5 + [0.002] * 5
    assert seen == pytest.approx([*warm, *at] * 2), "160 images in batches of 32: five steps an epoch, two levels"


def test_shuffled_arms_use_the_permuted_masks_of_imp(study):
    for level in (2, 3):
        expected = m.shuffle(masks(study, "imp", level), 0)
        found, plain = masks(study, "imp-on-shuffled-mask", level), masks(study, "imp", level)
        assert all(torch.equal(found[layer], expected[layer]) for layer in expected)
        assert any(not torch.equal(found[layer], plain[layer]) for layer in expected)


def test_random_masks_of_a_run_depend_on_its_seed(study):
    setup, configs = study
    config = configs["imp-on-random-mask"]
    layers = models.prunable_weights(initial_network(config, 0, setup.dataset))
    zero, one = (random_masks(layers, config, seed, 3) for seed in (0, 1))
    assert all(torch.equal(zero[layer], masks(study, "imp-on-random-mask", 3)[layer]) for layer in zero)
    assert any(not torch.equal(zero[layer], one[layer]) for layer in zero)
    assert {n: int(v.sum()) for n, v in zero.items()} == {n: int(v.sum()) for n, v in one.items()}


def test_weight_rewinding_returns_to_the_dense_run_at_its_epoch(study, tiny_digits, tmp_path):
    _, configs = study
    config = dataclasses.replace(configs["wr"], epochs=4, rewind_epoch=2, levels=2, first_level=1)
    setup = setup_in(tmp_path, tiny_digits)
    levels.run(config.dense, 0, setup)
    model = train.to_device(initial_network(config, 0, tiny_digits), torch.device("cpu"), config.precision)
    seen = {}
    whole = m.dense(models.prunable_weights(model))

    def keep(metrics, momentum):
        seen[metrics.epoch] = {name: value.clone() for name, value in model.state_dict().items()}

    rate = rate_at(config, 0, len(tiny_digits.labels("train")) // config.batch_size)
    (cycle,) = config.dense.cycles_at(0)
    train.train_cycle(model, tiny_digits, whole, training_settings(config), rate, cycle, seed=0, level=0, on_epoch=keep)
    dense_end = RunFolder(tmp_path, config.dense.name, 0).load_tensors(0, WEIGHT_TENSORS)
    assert all(torch.equal(seen[3][name], dense_end[name]) for name in dense_end), "the same dense run"
    dense_initial = RunFolder(tmp_path, config.dense.name, 0).load_tensors(0, INITIAL_TENSORS)
    point = level_start.rewind_point(RunContext(config, 0, setup, model))
    assert all(torch.equal(seen[1][name], point[name]) for name in point), "epochs 0 and 1 are behind it"
    levels.run(config, 0, setup)
    run = RunFolder(tmp_path, config.name, 0)
    kept = load_masks(run, 1, models.prunable_weights(model))
    expected = signs.pack(
        signs.sign_bits(rewinding.restart("wr", seen[1], dense_end, kept, bn_rewind=True), list(kept))
    )
    saved = run.load_tensors(1, "signs.safetensors")
    assert all((saved[f"start/{layer}"].numpy() == expected[layer]).all() for layer in kept), "level 1 starts there"
    moved = [((seen[1][layer] < 0) != (dense_initial[layer] < 0))[kept[layer]].any() for layer in kept]
    assert any(moved), "weights that survive have other signs at epoch k than at initialisation"
    lines = [
        json.loads(x) for x in (RunFolder(tmp_path, config.name, 0).path / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["epoch"] for line in lines] == [2, 3], "the schedule resumes at epoch k"


def test_the_same_run_twice_gives_the_same_bits_and_another_seed_does_not(study, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    configs = run_arms(["lrr"], setup, levels=4, warmup_epochs=1)
    again = RunFolder(tmp_path, configs["lrr"].name, 0).load_tensors(3, WEIGHT_TENSORS)
    first = weights(study, "lrr", 3)
    assert all(torch.equal(first[name], again[name]) for name in first)
    run_arms(["lrr"], setup, seed=1, levels=2)
    other = RunFolder(tmp_path, arm("lrr", levels=2).name, 1).load_tensors(1, WEIGHT_TENSORS)
    assert any(not torch.equal(weights(study, "lrr", 1)[name], other[name]) for name in first)


def test_a_run_that_lost_levels_goes_on_to_the_same_bits(study, tiny_digits, tmp_path):
    setup, configs = study
    results = tmp_path / "copy"
    shutil.copytree(setup.results, results)
    run = RunFolder(results, configs["lrr"].name, 0)
    expected = run.load_tensors(3, WEIGHT_TENSORS)
    metrics = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    (run.level_path(2) / MASK_TENSORS).write_bytes(b"torn")
    (run.path / "signs.json").unlink()
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"level": 3, "torn')
    shutil.rmtree(run.level_path(3))
    assert run.next_level(configs["lrr"]) == 2 and not run.is_complete(configs["lrr"])
    levels.run(configs["lrr"], 0, setup_in(results, tiny_digits))
    again = run.load_tensors(3, WEIGHT_TENSORS)
    assert all(torch.equal(expected[name], again[name]) for name in expected)
    assert run.signs_record() == folder(study, "lrr").signs_record()
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    strip = lambda rows: [{k: v for k, v in row.items() if k != "images_per_s"} for row in rows]  # noqa: E731
    assert strip(lines) == strip(metrics), "no line twice, none missing"


def test_a_complete_run_is_not_trained_again(study):
    setup, configs = study
    told = []
    levels.run(configs["imp"], 0, dataclasses.replace(setup, report=told.append))
    assert not told


def test_the_last_epoch_is_reported_and_not_the_best(study):
    for level in (1, 2, 3):
        record = folder(study, "imp").level_record(level)
        lines = [json.loads(line) for line in (folder(study, "imp").path / "metrics.jsonl").read_text().splitlines()]
        last = [line for line in lines if line["level"] == level][-1]
        assert record["test_accuracy"] == last["test_accuracy"] and record["test_loss"] == last["test_loss"]


def test_sign_statistics_of_the_run_agree_with_its_saved_weights(study):
    last = masks(study, "lrr", 3)
    history = [folder(study, "dense").load_tensors(0, INITIAL_TENSORS), weights(study, "dense", 0)]
    history += [weights(study, "lrr", level) for level in (1, 2, 3)]
    for layer, counts in folder(study, "lrr").signs_record()["layers"].items():
        negative = torch.stack([(state[layer] < 0)[last[layer]] for state in history])
        assert counts["survivors"] == int(last[layer].sum())
        assert counts["flips"]["previous"] == (negative[1:] != negative[:-1]).sum(1).tolist()
        assert counts["flips"]["initial"] == (negative[1:] != negative[0]).sum(1).tolist()


def test_a_loss_that_is_not_finite_marks_the_run_and_those_that_build_on_it(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    configs = run_arms(["lrr-on-imp-mask"], setup, lr=1e30)
    dense = RunFolder(tmp_path, configs["imp"].dense.name, 0)
    record = dense.level_record(0)
    assert "is the first tensor that is not finite" in record["reason"]
    assert record["status"] == "diverged" and "epoch 0, step" in record["reason"] and record["test_accuracy"] is None
    assert not (dense.level_path(0) / WEIGHT_TENSORS).exists()
    for config in configs.values():
        run = RunFolder(tmp_path, config.name, 0)
        assert run.is_complete(config) and run.diverged_at() == 1
        assert "dense run" in run.level_record(1)["reason"]


def test_a_loss_that_blows_up_in_the_last_step_of_an_epoch_marks_the_run_too(tiny_digits, tmp_path):
    for rate in (1e3, 1e10, 1e37):
        setup = setup_in(tmp_path / str(rate), tiny_digits)
        config = arm("imp", lr=rate, batch_size=160, epochs=1, levels=2).dense
        notes = levels.run(config, 0, setup)
        record = RunFolder(setup.results, config.name, 0).level_record(0)
        assert record["status"] == "diverged" or all(map(math.isfinite, (record["train_loss"], record["test_loss"])))
        assert bool(notes) == (record["status"] == "diverged")
    assert record["status"] == "diverged" and "diverged at level 0" in notes[0]


def test_a_network_that_ends_a_level_with_a_weight_that_is_not_finite_is_marked(tiny_digits, tmp_path, monkeypatch):
    def poison(model, *args, on_epoch, **kwargs):
        on_epoch(train.EpochMetrics(0, 0, 0, 0.1, 1.0, 0.5, 1.0, 0.5, None, None, 100.0), {})
        model.register_buffer("unseen", torch.tensor(float("nan")))  # no loss shows it

    monkeypatch.setattr(levels, "train_cycle", poison)
    config = arm("imp").dense
    levels.run(config, 0, dataclasses.replace(setup_in(tmp_path, tiny_digits), checkpoint_epochs=1))
    run = RunFolder(tmp_path, config.name, 0)
    assert run.level_record(0)["status"] == "diverged"
    assert not list(run.checkpoints.glob("*")), "nothing goes on from there"


def test_repairing_a_level_keeps_the_metrics_of_the_levels_behind_it(study, tiny_digits, tmp_path):
    setup, configs = study
    results = tmp_path / "copy"
    shutil.copytree(setup.results, results)
    run = RunFolder(results, configs["lrr"].name, 0)
    with open(run.level_path(1) / WEIGHT_TENSORS, "ab") as file:
        file.write(b"x")
    levels.run(configs["lrr"], 0, setup_in(results, tiny_digits))
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert sorted((line["level"], line["epoch"]) for line in lines) == [(k, e) for k in (1, 2, 3) for e in (0, 1)]


def test_a_run_without_its_mask_run_says_which_to_train(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    run_arms(["imp"], setup)
    config = arm("imp-on-lrr-mask")
    with pytest.raises(StoreError, match=f"masks of levels 1 to 2 from run {config.mask_run}.*train that run first"):
        levels.run(config, 0, setup)


def test_masks_of_another_network_are_refused(study):
    setup, configs = study
    layers = models.prunable_weights(models.create("resnet8", 8, (1, 8, 8), 10, torch.Generator()))
    with pytest.raises(StoreError, match="of another network: conv.weight is uint8"):
        load_masks(folder(study, "imp"), 1, layers)


def test_levels_that_would_empty_the_network_or_a_layer_are_refused_before_training(tiny_digits):
    with pytest.raises(m.EmptyNetworkError, match="level 29 would keep none of the network's"):
        check_run(arm("imp", levels=30), tiny_digits)
    with pytest.raises(m.EmptyNetworkError, match="leave one empty .layer .*weight"):
        check_run(arm("imp-on-random-mask", levels=13), tiny_digits)
    check_run(arm("imp", levels=12), tiny_digits)


def test_global_pruning_that_empties_layers_is_trained_and_recorded(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = run_arms(["imp"], setup, prune_rate=0.998, levels=2)["imp"]
    notes = levels.run(config, 0, setup)
    record = RunFolder(tmp_path, config.name, 0).level_record(1)
    empty = [name for name, layer in record["layers"].items() if layer["n_kept"] == 0]
    assert empty and record["status"] == "complete"
    assert record["n_kept"] == sum(layer["n_kept"] for layer in record["layers"].values())
    assert notes == [f"from level 1 on pruning left layers without a weight: {', '.join(empty)}"]


@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_a_narrow_network_trains_on_large_images_without_ending_the_process(layout):
    """Few channels, a 1x1 convolution of stride 2, 64x64 pixels: with channels last this was a segmentation fault.

    Images may come so, as a view of what a decoder gives.
    """
    code = (
        "import torch; from empirics import models, train\n"
        "from empirics.data import datasets\n"
        "x = torch.randint(0, 256, (64, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)\n"
        "part = datasets.Split(x, torch.arange(64) % 20)\n"
        "data = datasets.build('x', part, part, 20, 8, True)\n"
        "config = train.TrainingSettings(64, 0, 0.9, 5e-4, 'float32')\n"
        "model = models.create('resnet8', 4, (3, 64, 64), 20, torch.Generator().manual_seed(0))\n"
        "batches = data.training_batches\n"
        "class Data:\n"
        "    def training_batches(self, *given):\n"
        f"        for x, y in batches(*given): yield x.contiguous(memory_format=torch.{layout}), y\n"
        "data = Data()\n"
        "sgd = train.sgd(model, {}, config)\n"
        "print(train.train_epoch(model, sgd, data, torch.Generator(), config, lambda step: 0.1, 0)[0].isfinite().all())"
    )
    done = run([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == 0 and "True" in done.stdout, done.stderr
