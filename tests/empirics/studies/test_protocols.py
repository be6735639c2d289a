"""The protocols state what the definitions and the authors' code say, and an arm means the same under each."""

import dataclasses
import math

import pytest

from empirics.config import ConfigError, RunConfig
from empirics.studies.arms import ARMS, differs, needed_arms, resolve
from empirics.studies.plan import Study, plan_study, plan_sweep
from empirics.studies.presets import PRESETS, Preset, arm_config
from empirics.studies.protocols import (
    AUTHORS,
    FLOOR,
    LEFT_OUT,
    PROTOCOLS,
    arms_under,
    one_switch_at_a_time,
    settings_under,
    source_of,
)
from empirics.studies.table1 import cells, table1

PAPER = ("cifar10", "cifar100", "tiny-imagenet", "imagenet")
ONCE = ("quick", "smoke", "cifar10-small", "cifar10", "cifar100", "tiny-imagenet")


def theirs(preset: str, arm: str = "imp", **overrides) -> RunConfig:
    return arm_config(preset, arm, AUTHORS, **overrides)


# --- the rows of the authors' table -------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ONCE)
def test_the_warm_up_is_once_and_imp_rewinds_to_its_end(preset):
    config, warm = theirs(preset), PRESETS[preset].settings["warmup_epochs"]
    assert (config.warmup, config.warmup_epochs, config.rewind_epoch, config.initial_epoch) == (
        "once",
        warm,
        warm,
        warm,
    )
    (first,), (later,) = config.dense.cycles_at(0), config.cycles_at(1)
    assert (len(first.epochs), len(later.epochs)) == (config.epochs + warm, config.epochs)


def test_every_level_of_imagenet_begins_with_ten_epochs_at_a_tenth_of_the_rate():
    config = theirs("imagenet")
    assert (config.warmup, config.warmup_shape, config.warmup_epochs, config.rewind_epoch) == (
        "every",
        "constant",
        10,
        10,
    )
    assert [round(m * 90) for m in config.milestones] == [40, 70] and len(config.cycles_at(3)[0].epochs) == 90


@pytest.mark.parametrize("preset", ["cifar10", "cifar100", "tiny-imagenet"])
def test_the_rate_falls_at_60_and_120_of_150_epochs_after_a_once_only_warm_up(preset):
    config = theirs(preset)
    assert [round(m * 150) for m in config.milestones] == [60, 120] and config.schedule == "step"
    every = theirs(preset, "imp-warmup-every")
    assert [round(m * 150) for m in every.milestones] == [70, 130], "10 epochs of warm-up belong to each level"
    assert (every.warmup, every.warmup_epochs, every.rewind_epoch) == ("every", 10, 10)


def test_the_cosine_schedule_ends_at_a_rate_of_a_hundredth():
    assert theirs("quick").lr_floor == theirs("cifar10-small").lr_floor == 0.01
    assert theirs("cifar10").lr_floor == 0.0, "its schedule is the step schedule"


def test_batch_rate_momentum_and_weight_decay():
    for preset, decay in (("cifar10", 1e-4), ("cifar100", 1e-3)):
        config = theirs(preset)
        assert (config.batch_size, config.lr, config.momentum, config.weight_decay) == (256, 0.1, 0.9, decay)
    assert theirs("cifar10").epochs == 150


def test_tiny_imagenet_has_224_pixels_and_so_the_stem_of_large_images():
    import torch

    from empirics import models

    config = theirs("tiny-imagenet")
    assert (config.model, config.image_size) == ("resnet18", 224)
    network = models.create(
        config.model, config.width, (3, 224, 224), 200, torch.Generator().manual_seed(0), bias=False
    )
    assert network.conv1.kernel_size == (7, 7) and isinstance(network.maxpool, torch.nn.MaxPool2d)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_classifier_has_no_bias_and_is_pruned_like_all_layers(preset):
    import torch

    from empirics import models

    config = theirs(preset)
    assert not config.classifier_bias
    network = models.create("resnet8", 4, (3, 8, 8), 5, torch.Generator().manual_seed(0), bias=config.classifier_bias)
    assert network.linear.bias is None and "linear.weight" in models.prunable_weights(network)
    with_bias = models.create("resnet8", 4, (3, 8, 8), 5, torch.Generator().manual_seed(0))
    assert torch.equal(network.linear.weight, with_bias.linear.weight), "the same draws"


def test_clamped_densities_lose_what_exceeds_a_layer():
    """Nominal .8 keeps .62 (ERK) and .47 (balanced) of ResNet20; below .05 nothing is lost."""
    import torch

    from empirics import models
    from empirics.pruning.densities import DENSITIES

    network = models.create("resnet20", 16, (3, 32, 32), 10, torch.Generator().manual_seed(0), bias=False)
    shapes = {name: tuple(weight.shape) for name, weight in models.prunable_weights(network).items()}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    total = sum(sizes.values())

    def kept(densities: str, nominal: float) -> float:
        return sum(DENSITIES[densities](shapes, sizes, round(nominal * total)).values()) / total

    assert round(kept("erk-clamped", 0.8), 2) in (0.62, 0.63) and round(kept("balanced-clamped", 0.8), 2) == 0.47
    assert kept("erk", 0.8) == pytest.approx(0.8, abs=1e-5)
    assert kept("erk-clamped", 0.04) == pytest.approx(0.04, rel=2e-3)
    assert theirs("quick", "imp-on-random-mask").densities == "erk-clamped"


def test_strikes_come_at_the_epochs_of_the_authors_code():
    for preset, epochs in (("cifar10", [29, 59, 89, 119, 149]), ("quick", [3, 6, 9, 12, 15])):
        config = arm_config(preset, "imp-perturbed-often")
        assert list(config.strike_epochs(1)) == list(config.strike_epochs(0)) == epochs
        assert config.strike_rate == 0.3
    assert list(RunConfig(epochs=10, strikes=5, strike_rate=0.3).strike_epochs(2)) == [1, 3, 5, 7, 9]
    assert arm_config("imagenet", "lrr-perturbed-often").strikes == 3
    once = theirs("quick", "imp-perturbed-often")
    assert list(once.strike_epochs(0)) == [4, 7, 10, 13, 16], "the epochs of the warm-up are not counted"
    assert list(RunConfig(epochs=2, strikes=5, strike_rate=0.3, warmup_epochs=0).strike_epochs(1)) == [0, 1]


def test_sign_rewind_rewinds_batch_norm_and_there_is_a_magnitude_rewind_of_each_kind():
    assert theirs("quick", "sign").bn_rewind and theirs("quick", "magnitude").bn_rewind
    assert not theirs("quick", "magnitude-bn-kept").bn_rewind


def test_batch_norm_in_the_score_is_a_criterion():
    assert theirs("quick", criterion="magnitude-bn").criterion == "magnitude-bn"


def test_the_shuffled_masks_and_the_imp_long_control_are_ours_and_stay_possible():
    assert {"imp-on-shuffled-mask", "imp-long"} <= set(arms_under(AUTHORS, PRESETS["cifar10"]))


def test_table_1_says_what_is_unknown_and_what_is_left_out():
    found = {(cell.preset, cell.setting): cell for cell in cells() if cell.protocol == AUTHORS}
    for preset in PAPER:
        assert all(found[preset, name].source == "unknown" for name in ("levels", "seeds", "accuracy"))
        assert found[preset, "prune_rate"].value == 0.2 and found[preset, "prune_rate"].source == "code: imp-lrr-lts"
    assert found["tiny-imagenet", "augmentation"].value == "random resized crop, mirror"
    told = " ".join(LEFT_OUT)
    for word in ("running statistics", "momentum", "by epoch", "short batch", "160 epochs", "1x1 convolution",
                 "CIFAR-100 YAML", "weight decay", "ladder of densities"):  # fmt: skip
        assert word in told
    assert all(LEFT_OUT.values())


def test_every_changed_setting_of_a_paper_preset_has_a_source_and_imp_lrr_lts_goes_before_the_others():
    for preset in PAPER:
        spec = PRESETS[preset]
        ours_, other = spec.settings, settings_under(AUTHORS, spec)
        changed = [name for name in other if other[name] != ours_.get(name)]
        assert changed and all(source_of(AUTHORS, spec, name).startswith("code: imp-lrr-lts") for name in changed)
    assert source_of(AUTHORS, PRESETS["cifar100"], "weight_decay") == "code: imp-lrr-lts; of each figure unknown"
    assert source_of(AUTHORS, PRESETS["cifar10"], "lr") == "code: imp-lrr-lts"
    assert source_of("ours", PRESETS["cifar10"], "lr") == "code: open_lth"


# --- what a protocol is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_ours_is_the_preset_itself(preset):
    assert settings_under("ours", PRESETS[preset]) == dict(PRESETS[preset].settings)


def test_explicit_options_win_and_the_rewind_point_follows_the_warm_up():
    config = theirs("quick", warmup_epochs=3, classifier_bias=True)
    assert (config.rewind_epoch, config.initial_epoch, config.classifier_bias) == (3, 3, True)
    none = theirs("quick", warmup_epochs=0)
    assert (none.warmup, none.rewind_epoch, none.initial_epoch) == ("every", 0, 0)
    assert theirs("quick", schedule="constant").lr_floor == 0.0


def test_an_unknown_protocol_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown protocol 'author': did you mean 'authors'"):
        arm_config("quick", "imp", "author")


def test_a_step_schedule_has_the_milestones_of_the_protocol(tmp_path):
    from empirics.cli import plans
    from empirics.commands import parsed

    for protocol, milestones in (("ours", (0.5, 0.75)), ("authors", (0.4, 0.8))):
        line = ["train", "--results", str(tmp_path), "--dry-run", "--arms", "imp", "--protocol", protocol]
        (plan,) = plans(parsed([*line, "--schedule", "step"], lambda: ()))
        assert plan.configs["imp"].milestones == pytest.approx(milestones)
        found = [p.configs["imp"] for p in plans(parsed([*line, "--sweep", "schedule"], lambda: ()))]
        assert [config.milestones for config in found if config.schedule == "step"] == [pytest.approx(milestones)]


def test_short_levels_and_small_rates_can_be_trained_under_the_authors_protocol():
    every = theirs("cifar10", "imp-warmup-every", epochs=50)
    assert [round(m * 50) for m in every.milestones] == [30], "the second milestone would come after the end"
    assert theirs("quick", lr=0.005).lr_floor == 0.0


def test_a_sweep_without_a_value_says_so(tmp_path):
    with pytest.raises(ConfigError, match="--sweep protocol has no value to try in preset quick"):
        plan_sweep(Study(results=tmp_path, protocol="authors"), "protocol", (), {})


def test_arms_that_are_imp_under_the_authors_protocol_are_refused_by_its_name():
    for arm in ("imp-warm", "wr"):
        with pytest.raises(ConfigError, match=f"arm '{arm}' is the same as the arm 'imp'"):
            theirs("quick", arm)
    with pytest.raises(ConfigError, match="arm 'lrr-warmup-every' is the same as the arm 'lrr'"):
        arm_config("quick", "lrr-warmup-every")
    assert not {"imp-warm", "wr"} & set(arms_under(AUTHORS, PRESETS["cifar10"]))


def test_imp_warm_trains_all_epochs_from_the_end_of_the_warm_up_and_wr_the_rest():
    warm, wr = (arm_config("cifar10", arm) for arm in ("imp-warm", "wr"))
    assert (warm.rewind_epoch, wr.rewind_epoch) == (10, 10)
    assert [list(c.cycles_at(1)[0].epochs)[0] for c in (warm, wr)] == [0, 10]
    assert warm.dense.name == wr.dense.name == arm_config("cifar10", "imp").dense.name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_changes_settings_and_never_what_an_arm_means(protocol):
    """What an arm changes in its study is the same under both, but for the warm-up that an arm is about."""
    settings = settings_under(protocol, PRESETS["quick"])
    for arm, spec in ARMS.items():
        if not differs(arm, settings):
            continue
        config = resolve(arm, settings)
        for name, value in spec.changes.items():
            assert getattr(config, name) == (value(settings) if callable(value) else value), (arm, name)
        assert bool(config.mask_run) == bool(spec.mask_arm) and bool(config.sign_run) == bool(spec.sign_arm)


def test_arms_without_warm_up_have_none_and_rewind_to_initialisation_under_both():
    for protocol in PROTOCOLS:
        config = arm_config("quick", "imp-without-warmup", protocol)
        assert (config.warmup_epochs, config.warmup, config.rewind_epoch, config.initial_epoch) == (0, "every", 0, 0)


def test_a_fresh_network_has_no_rewind_point_on_the_dense_run():
    assert theirs("quick", "sign-transfer").rewind_epoch == 0


def test_signs_of_lrr_are_planned_after_lrr():
    assert needed_arms(["signs-of-lrr-shuffled"]) == ["lrr", "signs-of-lrr-shuffled"]
    assert arm_config("quick", "signs-of-lrr").sign_run == arm_config("quick", "lrr").name


# --- studies ------------------------------------------------------------------------------------------------------


def test_a_study_carries_its_protocol_in_name_record_and_command(tmp_path):
    plan = plan_study(Study(results=tmp_path, protocol="authors"), ["imp"], {"lr": 0.2})
    assert plan.record["study"] == "quick-authors-lr-0.2-digits" and plan.record["protocol"] == "authors"
    assert plan.record["preset"] == "quick, authors, lr=0.2" and plan.record["overrides"] == {"lr": 0.2}
    assert plan.record["command"] == "paper_repro.py train --preset quick --lr 0.2 --protocol authors"
    ours_ = plan_study(Study(results=tmp_path), ["imp"], {})
    assert (ours_.record["study"], ours_.record["protocol"]) == ("quick-digits", "ours")
    assert ours_.record["dense_run"] != plan.record["dense_run"]


def test_a_setting_that_is_the_protocols_own_is_not_listed_as_changed(tmp_path):
    plan = plan_study(Study(results=tmp_path, protocol="authors"), ["imp"], {"classifier_bias": False})
    assert plan.record["overrides"] == {} and plan.record["study"] == "quick-authors-digits"
    plan = plan_study(Study(results=tmp_path, protocol="authors"), ["imp"], {"classifier_bias": True})
    assert plan.record["overrides"] == {"classifier_bias": True}


def test_level_0_is_shared_within_a_protocol_and_never_between_them(tmp_path):
    plans = {p: plan_study(Study(results=tmp_path, protocol=p, seeds=(0,)), ["imp", "lrr"], {}) for p in PROTOCOLS}
    dense = {p: {config.dense.name for config in plan.configs.values()} for p, plan in plans.items()}
    assert all(len(names) == 1 for names in dense.values()) and dense["ours"] != dense["authors"]


def test_the_switches_are_turned_one_at_a_time_on_the_presets_own_network(tmp_path):
    assert one_switch_at_a_time(PRESETS["quick"].settings) == [
        {"rewind_epoch": 1, "initial_epoch": 1}, {"warmup": "once"}, {"lr_floor": 0.01}, {"classifier_bias": False},
    ]  # fmt: skip
    assert one_switch_at_a_time(settings_under(AUTHORS, PRESETS["quick"])) == []
    plans = plan_sweep(Study(results=tmp_path), "protocol", (), {})
    assert [plan.record["overrides"] for plan in plans] == one_switch_at_a_time(PRESETS["quick"].settings)
    assert all(plan.record["swept"] == "protocol" and plan.record["width"] == 8 for plan in plans)
    names = [set(plan.configs) for plan in plans]
    assert names == [{"imp", "lrr"}] * 4
    everything = {name: value for changes in one_switch_at_a_time(PRESETS["quick"].settings) for name, value in
                  changes.items()}  # fmt: skip
    assert dataclasses.replace(arm_config("quick", "imp"), **everything, densities="erk-clamped") == theirs("quick")


def test_the_sweep_of_signs_belongs_to_the_presets_own_study(tmp_path):
    (plan,) = plan_sweep(Study(results=tmp_path), "signs", (), {})
    assert plan.record["study"] == "quick-digits" and plan.record["swept"] is None
    assert {"sculpt", "imp-fixed-signs", "signs-of-lrr"} <= set(plan.configs)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "imagenet"])
def test_every_sweep_can_be_planned_under_the_authors_protocol(preset, tmp_path):
    from empirics.studies.sweeps import SWEEPS

    for name, sweep in SWEEPS.items():
        spec = PRESETS[preset]
        settings = settings_under(AUTHORS, spec, {} if sweep.on_preset else spec.sweep_on)
        for value in sweep.values(settings, bool(spec.sweep_on)):
            for arm in sweep.arms:
                changed = settings_under(AUTHORS, spec, {**({} if sweep.on_preset else spec.sweep_on), **value})
                if differs(arm, changed) and changed["levels"] > ARMS[arm].last_levels:
                    assert resolve(arm, changed), name


def test_a_preset_may_leave_the_schedule_to_its_default(monkeypatch):
    """Such as one registered from outside: Table 1 and every list of presets read it under both protocols."""
    few = Preset("few settings", {"dataset": "digits", "model": "resnet8"}, ("imp",), (0,), {})
    assert settings_under("authors", few)["lr_floor"] == FLOOR, "the default schedule is cosine"
    assert "warmup" in settings_under("authors", few)
    monkeypatch.setitem(PRESETS, "few", few)
    assert "few" in table1()
