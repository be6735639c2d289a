"""Perturbed signs, one-shot pruning, fine-tuning, fresh networks and sign transfer, dense controls, longer levels."""

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from empirics import models, schedules, train
from empirics.config import ConfigError, RunConfig
from empirics.data import datasets
from empirics.pruning import masks as m
from empirics.pruning import rewinding, signs
from empirics.pruning.criteria import CRITERIA
from empirics.runs import level_start, levels, mask_sources
from empirics.runs.context import initial_network, load_state, new_context, state_of
from empirics.runs.mask_sources import load_masks, scored_images
from empirics.runs.training import training_settings
from empirics.schedules import kept_weights
from empirics.seeding import generator
from empirics.storage.run_folder import INITIAL_TENSORS, WEIGHT_TENSORS, RunFolder, StoreError
from empirics.studies import presets
from empirics.studies.arms import ARMS as REGISTRY
from empirics.studies.arms import differs, resolve
from empirics.studies.sweeps import SWEEPS
from tests.empirics.tiny_runs import TINY, arm, run_arms, setup_in

ARMS = ["imp", "lrr", "imp-perturbed", "lrr-perturbed", "imp-perturbed-at-start", "one-shot", "one-shot-trained",
        "one-shot-lrr", "fresh-on-lrr-mask", "sign-transfer", "dense-long", "fine-tune"]  # fmt: skip
SETTINGS = dict(levels=5, epochs=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_digits):
    setup = setup_in(tmp_path_factory.mktemp("results"), tiny_digits)
    return setup, run_arms(ARMS, setup, **SETTINGS)


def folder(study, name: str) -> RunFolder:
    setup, configs = study
    config = configs["imp"].dense if name == "dense" else configs[name]
    return RunFolder(setup.results, config.name, 0)


def network(study) -> torch.nn.Module:
    setup, configs = study
    return initial_network(configs["imp"], 0, setup.dataset)


def masks(study, name: str, level: int) -> m.Masks:
    return load_masks(folder(study, name), level, models.prunable_weights(network(study)))


def start_signs(study, name: str, level: int) -> signs.Signs:
    return mask_sources.load_signs(folder(study, name), level, "start", masks(study, name, level))


def initial(study, name: str = "dense") -> dict[str, torch.Tensor]:
    return folder(study, name).load_tensors(0, INITIAL_TENSORS)


def trained(study, name: str, level: int) -> dict[str, torch.Tensor]:
    return folder(study, "dense" if level == 0 else name).load_tensors(level, WEIGHT_TENSORS)


# --- perturbed signs ----------------------------------------------------------------------------------------------


@given(rate=st.floats(0, 1), seed=st.integers(0, 50), scope=st.sampled_from(["global", "layerwise"]))
@settings(max_examples=40, deadline=None)
def test_a_perturbation_flips_exactly_the_stated_fraction_of_survivors_and_no_pruned_weight(rate, seed, scope):
    draw = torch.Generator().manual_seed(seed)
    kept = {"a": torch.rand(7, 5, generator=draw) < 0.6, "b": torch.rand(40, generator=draw) < 0.3}
    flips = signs.draw_flips(kept, rate, scope, torch.Generator().manual_seed(seed))
    assert all((flips[name] <= kept[name]).all() for name in kept)
    if scope == "global":
        assert m.count(flips) == round(rate * m.count(kept))
    else:
        assert all(int(flips[name].sum()) == round(rate * int(kept[name].sum())) for name in kept)


def test_flips_are_drawn_from_the_generator_and_differ_between_seeds():
    kept = {"a": torch.ones(200, dtype=torch.bool)}
    draw = lambda seed: signs.draw_flips(kept, 0.2, "global", torch.Generator().manual_seed(seed))["a"]  # noqa: E731
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


def test_flipping_twice_gives_the_values_back_and_touches_nothing_else():
    state, where = {"w": torch.tensor([1.0, -2.0, 0.0]), "bias": torch.ones(2)}, torch.tensor([True, True, False])
    once = signs.flip(state, {"w": where})
    assert once["w"].tolist() == [-1.0, 2.0, 0.0] and once["bias"] is state["bias"]
    assert torch.equal(signs.flip(once, {"w": where})["w"], state["w"]) and state["w"].tolist() == [1.0, -2.0, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imp-perturbed", "lrr-perturbed"])
def test_a_fifth_of_the_surviving_signs_is_flipped_at_the_start_of_the_middle_level(study, name):
    setup, configs = study
    config = configs[name]
    assert (config.perturb_rate, config.perturb_level) == (0.2, 2)
    kept = masks(study, name, 2)
    plain = rewinding.restart(config.rewind, initial(study), trained(study, name, 1), kept, bn_rewind=config.bn_rewind)
    before = signs.sign_bits(plain, list(kept))
    flipped = {layer: start_signs(study, name, 2)[layer] ^ before[layer] for layer in kept}
    assert m.count(flipped) == round(0.2 * m.count(kept)) and m.overlap(flipped, kept) == m.count(flipped)


@pytest.mark.slow
def test_levels_before_the_perturbation_are_those_of_the_plain_run(study):
    for name, plain in (("imp-perturbed", "imp"), ("lrr-perturbed", "lrr")):
        one, two = trained(study, name, 1), trained(study, plain, 1)
        assert all(torch.equal(one[key], two[key]) for key in two)
        one, two = trained(study, name, 2), trained(study, plain, 2)
        assert any(not torch.equal(one[key], two[key]) for key in two)


@pytest.mark.slow
def test_the_flip_is_written_into_the_values_that_imp_rewinds_to(study):
    """Else IMP would undo the perturbation at the next level."""
    config = study[1]["imp-perturbed"]
    at = masks(study, "imp-perturbed", 2)
    flips = signs.draw_flips(at, 0.2, "global", generator(0, "perturbed signs", config.perturb_level))
    for level in (3, 4):
        kept, begun = masks(study, "imp-perturbed", level), start_signs(study, "imp-perturbed", level)
        plain = signs.sign_bits(initial(study), list(kept))
        assert all(torch.equal(begun[n] & kept[n], (plain[n] ^ flips[n]) & kept[n]) for n in kept)
        assert any((flips[n] & kept[n]).any() for n in kept), "flipped weights survive, so that the test can fail"


@pytest.mark.slow
def test_lrr_is_perturbed_once_and_not_again_at_later_levels(study):
    kept, begun = masks(study, "lrr-perturbed", 3), start_signs(study, "lrr-perturbed", 3)
    ended = signs.sign_bits(trained(study, "lrr-perturbed", 2), list(kept))
    assert all(torch.equal(begun[n] & kept[n], ended[n] & kept[n]) for n in kept)


@pytest.mark.slow
def test_a_perturbation_at_initialisation_has_a_dense_run_of_its_own(study):
    setup, configs = study
    config = configs["imp-perturbed-at-start"]
    assert config.dense.name != configs["imp"].dense.name and config.dense.perturb_rate == 0.2
    own = RunFolder(setup.results, config.dense.name, 0).load_tensors(0, INITIAL_TENSORS)
    plain = initial(study)
    weights = list(models.prunable_weights(network(study)))
    turned = {n: own[n] == -plain[n] for n in weights}
    assert m.count(turned) == round(0.2 * sum(own[n].numel() for n in weights))
    assert all(torch.equal(own[n].abs(), plain[n].abs()) for n in weights)
    assert all(torch.equal(own[n], plain[n]) for n in plain if n not in weights)


@pytest.mark.slow
def test_a_perturbation_may_be_drawn_in_each_layer(study, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = run_arms(["imp-perturbed"], setup, **{**SETTINGS, "levels": 3, "perturb_scope": "layerwise"})[
        "imp-perturbed"
    ]
    run = RunFolder(tmp_path, config.name, 0)
    kept = load_masks(run, 1, models.prunable_weights(network(study)))
    begun = mask_sources.load_signs(run, 1, "start", kept)
    plain = signs.sign_bits(initial(study), list(kept))
    for layer, mask in kept.items():
        assert int(((begun[layer] ^ plain[layer]) & mask).sum()) == round(0.2 * int(mask.sum())), layer


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(perturb_rate=1.5), r"perturb_rate must lie in \[0, 1\]"),
        (dict(perturb_rate=0.2, perturb_level=9), "perturb_level must be 0 .initialisation. or lie in"),
        (dict(perturb_level=2), "go with a perturb_rate above 0"),
        (dict(perturb_scope="layerwise"), "go with a perturb_rate above 0"),
        (dict(perturb_rate=0.2, perturb_scope="layer"), "did you mean 'layerwise'"),
        (dict(pruning="oneshot"), "did you mean 'one-shot'"),
        (dict(scores_from="init"), "known: initialisation, trained"),
        (
            dict(perturb_rate=0.2, perturb_level=2, pruning="one-shot"),
            "must be 0 .initialisation. with pruning 'one-shot'",
        ),
        (dict(perturb_rate=0.2, rewind="fresh", mask_source="run", mask_run="x"), "rewind 'fresh' has another"),
        (dict(pruning="one-shot", mask_source="random"), "say how a run chooses its own masks"),
        (dict(rewind="sign-transfer"), "takes masks and signs of a run"),
        (dict(cycles="0"), "cycles must be a whole number"),
        (dict(cycles="4x"), "cycles must be a whole number"),
        (dict(mask_snapshot_epochs=(3, 2)), "mask_snapshot_epochs must be whole numbers that rise"),
        (dict(mask_snapshot_epochs=(17,)), r"mask_snapshot_epochs must lie in \[1, 16\]"),
        (dict(mask_snapshot_epochs=(2,), mask_source="random"), "masks of the run's own"),
        (dict(precision="float16"), "did you mean 'bfloat16'"),
        (dict(validation_per_class=-1), "validation_per_class must be 0 or more"),
        (dict(image_size=-1), "image_size must be 0 or more"),
    ],
)
def test_ablations_that_cannot_be_run_are_refused_with_what_to_do(changes, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(**changes)


# --- one-shot -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_shot_prunes_the_initial_network_at_once_by_magnitude(study):
    weights = initial(study)
    layers = models.prunable_weights(network(study))
    total = sum(weight.numel() for weight in layers.values())
    for level in (1, 4):
        scores = {name: weights[name].abs() for name in layers}
        expected = m.keep_global(scores, m.dense(layers), kept_weights(total, 0.5, level))
        found = masks(study, "one-shot", level)
        assert all(torch.equal(found[name], expected[name]) for name in layers)


@pytest.mark.slow
def test_one_shot_on_trained_weights_prunes_the_dense_run_at_every_level(study):
    weights = trained(study, "dense", 0)
    layers = models.prunable_weights(network(study))
    keep = kept_weights(sum(weight.numel() for weight in layers.values()), 0.5, 3)
    expected = m.keep_global({name: weights[name].abs() for name in layers}, m.dense(layers), keep)
    for name in ("one-shot-trained", "one-shot-lrr"):
        assert all(torch.equal(masks(study, name, 3)[layer], expected[layer]) for layer in layers)
    first, iterative = masks(study, "one-shot-trained", 1), masks(study, "imp", 1)
    assert all(torch.equal(first[layer], iterative[layer]) for layer in layers), "at level 1 the two are one"


@pytest.mark.slow
def test_one_shot_lrr_starts_every_level_from_the_dense_runs_weights(study):
    kept = masks(study, "one-shot-lrr", 3)
    expected = signs.sign_bits(trained(study, "dense", 0), list(kept))
    begun = start_signs(study, "one-shot-lrr", 3)
    assert all(torch.equal(begun[n] & kept[n], expected[n] & kept[n]) for n in kept)


@pytest.mark.slow
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", ["imp", "one-shot"])
def test_every_criterion_prunes_a_run_to_exact_counts(criterion, name, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = run_arms([name], setup, levels=3, epochs=1, criterion=criterion)[name]
    layers = models.prunable_weights(initial_network(config, 0, tiny_digits))
    total = sum(weight.numel() for weight in layers.values())
    for level in (1, 2):
        kept = load_masks(RunFolder(tmp_path, config.name, 0), level, layers)
        assert m.count(kept) == kept_weights(total, 0.5, level)


@pytest.mark.slow
def test_scoring_leaves_the_network_of_the_run_and_its_data_order_untouched(tiny_digits, tmp_path):
    """A run under a criterion that looks at the network, on masks that it then borrows, trains to the same bits."""
    setup = setup_in(tmp_path, tiny_digits)
    own = run_arms(["imp"], setup, levels=2, epochs=1, criterion="snip")["imp"]
    given_ = dataclasses.replace(arm("imp", levels=2, epochs=1), mask_source="run", mask_run=own.name)
    levels.run(given_, 0, setup)
    one, two = (RunFolder(tmp_path, c.name, 0).load_tensors(1, WEIGHT_TENSORS) for c in (own, given_))
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_scored_images_are_a_few_of_every_class_and_the_same_for_a_seed_and_level():
    labels = torch.arange(300) % 7
    index = scored_images(labels, 7, generator(0, "scored images", 1))
    assert torch.bincount(labels[index]).tolist() == [10] * 7 and len(set(index.tolist())) == 70
    assert torch.equal(index, scored_images(labels, 7, generator(0, "scored images", 1)))
    assert not torch.equal(index, scored_images(labels, 7, generator(0, "scored images", 2)))
    many = scored_images(torch.arange(3000) % 1000, 1000, generator(0, "scored images", 1))
    assert len(many) == 1000, "a thousand images at most"


# --- fresh networks and sign transfer -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_fresh_network_is_another_draw_and_the_same_at_every_level(study):
    setup, configs = study
    point = level_start.rewind_point(new_context(configs["fresh-on-lrr-mask"], 0, setup))
    weights = list(models.prunable_weights(network(study)))
    assert all(not torch.equal(point[name], initial(study)[name]) for name in weights)
    for level in (1, 4):
        kept = masks(study, "fresh-on-lrr-mask", level)
        expected = signs.sign_bits(point, list(kept))
        begun = start_signs(study, "fresh-on-lrr-mask", level)
        assert all(torch.equal(begun[n] & kept[n], expected[n] & kept[n]) for n in kept)


@pytest.mark.slow
def test_sign_transfer_takes_masks_and_final_signs_of_the_source_and_magnitudes_of_the_fresh_network(study):
    setup, configs = study
    context = new_context(configs["sign-transfer"], 0, setup)
    point = level_start.rewind_point(context)
    for level in (1, 4):
        kept = masks(study, "sign-transfer", level)
        assert all(torch.equal(kept[n], masks(study, "lrr", level)[n]) for n in kept)
        start = level_start.rewound_start(context, level, point, trained(study, "dense", 0), kept)
        ended = trained(study, "lrr", level)
        for n in kept:
            assert torch.equal(start[n].abs()[kept[n]], point[n].abs()[kept[n]])
            assert torch.equal((start[n] < 0)[kept[n]], (ended[n] < 0)[kept[n]])
            assert (start[n][~kept[n]] == 0).all()
        begun = start_signs(study, "sign-transfer", level)
        assert all(torch.equal(begun[n] & kept[n], (ended[n] < 0) & kept[n]) for n in kept)


@pytest.mark.slow
def test_a_fresh_network_has_no_readings_against_the_dense_runs_initialisation(study):
    for name in ("fresh-on-lrr-mask", "sign-transfer"):
        for layer in folder(study, name).level_record(2)["layers"].values():
            assert layer["flips"]["initial"] is None and layer["flips"]["previous"] is None
            assert layer["flips"]["level_start"] is not None
        assert folder(study, name).signs_record() is None and folder(study, name).is_complete(study[1][name])


# --- training longer, or without pruning --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_dense_control_goes_on_from_level_to_level_and_prunes_nothing(study):
    record = folder(study, "dense-long").level_record(4)
    assert record["density"] == 1.0 and record["n_kept"] == record["total"] == record["overlap_with_previous_level"]
    begun = start_signs(study, "dense-long", 3)
    ended = signs.sign_bits(trained(study, "dense-long", 2), list(begun))
    assert all(torch.equal(begun[n], ended[n]) for n in begun)


@pytest.mark.slow
def test_fine_tuning_trains_at_the_schedules_last_rate_from_trained_weights(study):
    lines = [json.loads(x) for x in (folder(study, "fine-tune").path / "metrics.jsonl").read_text().splitlines()]
    final = schedules.final_rate(total=5, last=5, warmup=0, peak=TINY["lr"], schedule="cosine")
    assert [line["lr"] for line in lines] == pytest.approx([final] * 4)
    kept, begun = masks(study, "fine-tune", 2), start_signs(study, "fine-tune", 2)
    ended = signs.sign_bits(trained(study, "fine-tune", 1), list(kept))
    assert all(torch.equal(begun[n] & kept[n], ended[n] & kept[n]) for n in kept)


def test_the_final_rate_of_a_step_schedule_is_that_of_its_last_step():
    steps = dict(total=100, warmup=10, peak=0.1, schedule="step", milestones=(0.5, 0.75))
    assert schedules.final_rate(last=5, **steps) == pytest.approx(0.001)
    cosine = schedules.final_rate(last=10, total=100, warmup=10, peak=0.1, schedule="cosine")
    assert 1e-4 < cosine < 0.005, "low, and not the next to nothing of the last step"


@pytest.mark.slow
def test_masks_taken_at_several_epochs_are_held_against_the_one_at_the_end(tiny_digits, tmp_path):
    settings_ = dict(levels=2, epochs=2, cycles="2", mask_snapshot_epochs=(1, 2, 4))
    setup = setup_in(tmp_path, tiny_digits)
    config = run_arms(["lrr"], setup, **settings_)["lrr"]
    assert config.dense.cycles == "2" and config.dense.mask_snapshot_epochs == (1, 2, 4)
    for run, level in ((config.dense, 0), (config, 1)):
        record = RunFolder(tmp_path, run.name, 0).level_record(level)
        assert record["epochs"] == 4 and [row["epoch"] for row in record["mask_snapshots"]] == [1, 2, 4]
        assert all(row["n_kept"] == kept_weights(record["total"], 0.5, level + 1) for row in record["mask_snapshots"])
        shared = [row["shared"] for row in record["mask_snapshots"]]
        assert shared[-1] == record["mask_snapshots"][-1]["n_kept"], "the last epoch's mask is the end's"
        assert 0 < shared[0] < shared[-1]
    layers = models.prunable_weights(initial_network(config, 0, tiny_digits))
    taken = load_masks(RunFolder(tmp_path, config.name, 0), 1, layers)
    assert m.count(taken) == RunFolder(tmp_path, config.dense.name, 0).level_record(0)["mask_snapshots"][-1]["n_kept"]


@pytest.mark.slow
def test_taking_masks_on_the_way_changes_no_weight(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    plain = run_arms(["lrr"], setup, levels=2)["lrr"]
    watched = run_arms(["lrr"], setup, levels=2, mask_snapshot_epochs=(1, 2))["lrr"]
    one, two = (RunFolder(tmp_path, c.name, 0).load_tensors(1, WEIGHT_TENSORS) for c in (plain, watched))
    assert plain.name != watched.name and all(torch.equal(one[name], two[name]) for name in two)


# --- measurements -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_level_records_norms_and_the_overlap_with_the_level_before(study):
    for name, level in (("imp", 1), ("lrr", 3), ("one-shot", 2)):
        record, kept = folder(study, name).level_record(level), masks(study, name, level)
        before = masks(study, "dense" if level == 1 else name, level - 1)
        assert record["overlap_with_previous_level"] == m.overlap(kept, before) and record[
            "n_kept_previous_level"
        ] == m.count(before)
        weights = trained(study, name, level)
        for layer, row in record["layers"].items():
            assert row["norm"] == pytest.approx(float(weights[layer].norm()), rel=1e-5)
    start = rewinding.restart("lrr", initial(study), trained(study, "lrr", 2), masks(study, "lrr", 3), bn_rewind=False)
    layers = folder(study, "lrr").level_record(3)["layers"]
    for layer, row in layers.items():
        moved = float((trained(study, "lrr", 3)[layer] - start[layer]).norm())
        assert row["weight_change_norm"] == pytest.approx(moved, rel=1e-5)
    assert folder(study, "dense").level_record(0)["overlap_with_previous_level"] is None


@pytest.mark.slow
def test_a_validation_split_is_measured_and_never_trained_on(tiny_digits, tmp_path):
    from empirics.data.datasets import subset

    part = subset(tiny_digits, 0, 3)
    assert len(part.labels("validation")) == 30 and len(part.labels("train")) == 130
    setup = setup_in(tmp_path, part)
    config = run_arms(["lrr"], setup, levels=2, validation_per_class=3)["lrr"]
    record = RunFolder(tmp_path, config.name, 0).level_record(1)
    assert 0 <= record["validation_accuracy"] <= 1 and record["validation_loss"] > 0
    lines = [
        json.loads(x) for x in (RunFolder(tmp_path, config.name, 0).path / "metrics.jsonl").read_text().splitlines()
    ]
    assert lines[-1]["validation_loss"] == record["validation_loss"]
    assert RunFolder(tmp_path, arm("lrr", levels=2).name, 0).level_record(1) is None, "another name"


@pytest.mark.slow
def test_without_a_validation_split_its_numbers_are_null(study):
    record = folder(study, "imp").level_record(1)
    assert record["validation_accuracy"] is None and record["validation_loss"] is None


@pytest.mark.slow
def test_bfloat16_trains_in_autocast_and_keeps_float32_weights(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = run_arms(["lrr"], setup, levels=2, precision="bfloat16")["lrr"]
    weights = RunFolder(tmp_path, config.name, 0).load_tensors(1, WEIGHT_TENSORS)
    plain = run_arms(["lrr"], setup, levels=2)["lrr"]
    other = RunFolder(tmp_path, plain.name, 0).load_tensors(1, WEIGHT_TENSORS)
    assert all(value.dtype == other[name].dtype for name, value in weights.items())
    assert any(not torch.equal(weights[name], other[name]) for name in other)


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_weights_of_another_network_are_refused_by_name(tiny_digits):
    model = initial_network(arm("imp"), 0, tiny_digits)
    state = state_of(model)
    wider = state_of(initial_network(arm("imp", width=8), 0, tiny_digits))
    with pytest.raises(
        StoreError,
        match=r"of another network: conv.weight is float32 of shape \(8, 1, 3, 3\) there and .*\(4, 1, 3, 3\)",
    ):
        load_state(model, wider, "some-run")
    with pytest.raises(StoreError, match="extra is float32.* there and missing here"):
        load_state(model, {**state, "extra": torch.ones(1)}, "some-run")
    with pytest.raises(StoreError, match="linear.bias is missing there"):
        load_state(model, {n: v for n, v in state.items() if n != "linear.bias"}, "some-run")
    with pytest.raises(StoreError, match="float64"):
        load_state(model, {**state, "linear.bias": state["linear.bias"].double()}, "some-run")


@pytest.mark.slow
def test_a_mask_run_that_does_not_reach_the_last_level_is_refused_before_training(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    short = run_arms(["lrr"], setup, levels=3, epochs=1)["lrr"]
    config = dataclasses.replace(arm("imp-on-lrr-mask", levels=5, epochs=1), mask_run=short.name)
    with pytest.raises(StoreError, match=r"masks of levels 1 to 4 from run lrr-.*whose level 3 is missing"):
        levels.run(config, 0, setup)
    assert not list(RunFolder(tmp_path, config.name, 0).path.glob("level-*")), "nothing was trained"


@pytest.mark.parametrize("sweep", SWEEPS)
@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_value_of_every_sweep_is_a_valid_study(preset, sweep):
    spec, base = SWEEPS[sweep], presets.PRESETS[preset].settings
    for settings_ in (base, {**base, "epochs": 3, "warmup_epochs": 1}):
        values = spec.values(settings_, brief=preset == "quick")
        configs = [resolve(spec.arms[-1], {**settings_, **value}) for value in values]
        assert len({config.name for config in configs}) == len(values) >= 1


@pytest.mark.slow
def test_every_network_of_every_preset_and_sweep_can_be_built():
    wanted = set()
    for preset in presets.PRESETS.values():
        data, brief = datasets.DATASETS[preset.settings["dataset"]], bool(preset.sweep_on)
        shape = data.image_shape(preset.settings.get("image_size", 0))
        for name in ("width", "model"):
            for value in [{}, *SWEEPS[name].values(preset.settings, brief)]:
                settings_ = {**preset.settings, **value}
                wanted.add((settings_["model"], settings_["width"], shape, data.classes))
    assert len(wanted) > 10
    for model, width, shape, classes in sorted(wanted):
        if model != "resnet50":  # slow, and built in test_models
            assert models.prunable_weights(models.create(model, width, shape, classes, generator(0, "x")))


def test_every_arm_is_in_a_preset_or_a_sweep():
    variants = [variant for preset in presets.PRESETS.values() for variant in preset.protocols.values()]
    reached = {arm for spec in (*presets.PRESETS.values(), *variants, *SWEEPS.values()) for arm in spec.arms}
    assert reached == set(REGISTRY)


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_masks_of_longer_levels_are_taken_at_the_end_of_every_cycle(preset):
    (value,) = SWEEPS["mask-convergence"].values(presets.PRESETS[preset].settings, brief=False)
    epochs = presets.PRESETS[preset].settings["epochs"]
    ends = {cycle * epochs for cycle in range(1, 1 + int(value["cycles"]))}
    assert (
        len(ends) > 1
        and ends <= set(value["mask_snapshot_epochs"])
        and len(value["mask_snapshot_epochs"]) == 4 * len(ends)
    )


def test_a_perturbation_says_nothing_to_arms_that_are_not_perturbed():
    base = presets.PRESETS["quick"].settings
    changed = {**base, "perturb_rate": 0.5, "perturb_level": 3, "perturb_scope": "layerwise"}
    assert resolve("imp", changed) == resolve("imp", base)
    found = resolve("lrr-perturbed", changed)
    assert (found.perturb_rate, found.perturb_level, found.perturb_scope) == (0.5, 3, "layerwise")
    with pytest.raises(ConfigError, match="arm 'lrr-perturbed': perturb_level and perturb_scope go with"):
        resolve("lrr-perturbed", {**base, "perturb_rate": 0.0, "perturb_level": 3})


def test_how_masks_are_chosen_says_nothing_to_arms_that_take_theirs_elsewhere():
    base = presets.PRESETS["quick"].settings
    found = resolve("imp-on-lrr-mask", {**base, "pruning": "one-shot"})
    assert found.pruning == "iterative" and found.mask_run == resolve("lrr", {**base, "pruning": "one-shot"}).name


def test_an_arm_that_is_another_under_the_settings_is_refused_or_left_out():
    base = {**presets.PRESETS["quick"].settings, "warmup_epochs": 0}
    with pytest.raises(ConfigError, match="arm 'imp-without-warmup' is the same as the arm 'imp'"):
        resolve("imp-without-warmup", base)
    assert not differs("lrr-without-warmup", base) and differs("lrr", base)
    with pytest.raises(ConfigError, match="levels must be at least 2 for arm 'imp'"):
        resolve("imp", {**base, "levels": 1})


@pytest.mark.slow
def test_images_in_parts_are_another_run_and_a_part_that_does_not_divide_is_refused(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    whole, parts = (run_arms(["lrr"], setup, levels=2, epochs=1, micro_batch=n)["lrr"] for n in (0, 16))
    one, two = (RunFolder(tmp_path, c.name, 0).load_tensors(1, WEIGHT_TENSORS) for c in (whole, parts))
    assert whole.name != parts.name and any(not torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(ConfigError, match="micro_batch must divide batch_size = 32"):
        arm("lrr", micro_batch=5)


@pytest.mark.slow
def test_gradients_of_parts_add_up_to_that_of_the_batch(tiny_digits):
    """Without batch norm the two are the same step."""
    steps = []
    for parts in (0, 8):
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        torch.nn.init.constant_(model[1].weight, 0.01)
        torch.nn.init.zeros_(model[1].bias)
        config = arm("lrr", micro_batch=parts)
        settings = training_settings(config)
        optimizer = train.sgd(model, {}, settings)
        losses, correct = train.train_epoch(
            model, optimizer, tiny_digits, generator(0, "x"), settings, lambda step: 0.1, 0
        )
        steps.append((model[1].weight.detach().clone(), losses, correct))
    assert torch.allclose(steps[0][0], steps[1][0], atol=1e-6) and torch.allclose(steps[0][1], steps[1][1], atol=1e-6)
    assert steps[0][2] == steps[1][2]


def test_prune_rates_of_a_sweep_end_at_about_the_same_density():
    for preset in presets.PRESETS.values():
        settings_ = {**preset.settings, **preset.sweep_on}
        target = (1 - settings_["prune_rate"]) ** (settings_["levels"] - 1)
        values = SWEEPS["prune-rate"].values(settings_, brief=bool(preset.sweep_on))
        assert {settings_["prune_rate"]} < {value["prune_rate"] for value in values}, "the preset's, and others"
        for value in values:
            last = (1 - value["prune_rate"]) ** (value["levels"] - 1)
            assert 0.7 < last / target < 1.42, "within half a level of the coarsest rate"
