import dataclasses

import pytest

from empirics.config import DENSE_FIELDS, UNHASHED_FIELDS, ConfigError, RunConfig, config_hash
from empirics.studies import presets
from empirics.studies.arms import ARMS
from empirics.studies.table1 import table1

CHANGED = dict(
    dataset="letters", data_hash="0" * 64, images_per_class=10, model="resnet8", width=4, epochs=15, batch_size=32,
    lr=0.05, schedule="constant", milestones=(0.5,), warmup_epochs=2, momentum=0.8, weight_decay=1e-4, prune_rate=0.2,
    levels=9, criterion="random", densities="uniform", rewind="lrr", rewind_epoch=3, bn_rewind=False,
    mask_source="random", mask_run="lrr-x", cycles="level + 1", first_level=2, validation_per_class=5, image_size=64,
    precision="bfloat16", micro_batch=32, mask_snapshot_epochs=(2, 4), pruning="one-shot", scores_from="initialisation",
    perturb_rate=0.1, perturb_level=3, perturb_scope="layerwise",
)  # fmt: skip
NEEDS = {
    "rewind_epoch": dict(rewind="wr"),
    "mask_run": dict(mask_source="run"),
    "cycles": dict(mask_source="random"),
    "first_level": dict(mask_source="random"),
    "perturb_level": dict(perturb_rate=0.2),
    "perturb_scope": dict(perturb_rate=0.2),
}


def test_golden_run_names_of_the_quick_preset():
    """A changed name means that old results no longer belong to the preset: change it knowingly."""
    names = {arm: presets.arm_config("quick", arm).name for arm in ("imp", "lrr", "lrr-on-imp-mask", "imp-long")}
    assert names == {
        "imp": "imp-digits-resnet20-bef978f3",
        "lrr": "lrr-digits-resnet20-473fc18c",
        "lrr-on-imp-mask": "lrr-on-imp-mask-digits-resnet20-d5ffac61",
        "imp-long": "imp-long-digits-resnet20-80ec5939",
    }
    assert presets.arm_config("quick", "lrr").dense.name == "dense-digits-resnet20-b194bbfa"
    watched = RunConfig(arm="lrr", rewind="lrr", bn_rewind=False, mask_snapshot_epochs=(4, 8))
    assert watched.name == "lrr-digits-resnet20-10814e75", "the field was called mask_epochs, and its runs stay"
    assert watched.dense.name == "dense-digits-resnet20-bcbdf54f"


def test_every_field_that_can_change_a_result_changes_the_hash():
    fields = {field.name for field in dataclasses.fields(RunConfig)} - set(UNHASHED_FIELDS)
    assert fields == set(CHANGED), "a new field needs a value here"
    for name, value in CHANGED.items():
        if name in ("schedule", "milestones"):
            continue  # they go together: below
        base = RunConfig(**{**(NEEDS.get(name, {})), **({"mask_run": "imp-x"} if name == "mask_run" else {})}) \
            if name != "rewind_epoch" else RunConfig(rewind="wr", rewind_epoch=2)  # fmt: skip
        assert config_hash(dataclasses.replace(base, **{name: value})) != config_hash(base), name


def test_a_schedule_and_its_milestones_change_the_hash():
    steps = [RunConfig(schedule="step", milestones=m) for m in ((0.5,), (0.5, 0.75))]
    assert len({config_hash(config) for config in (*steps, RunConfig(), RunConfig(schedule="constant"))}) == 4


def test_a_whole_number_and_the_same_float_are_one_run():
    assert RunConfig(lr=1).name == RunConfig(lr=1.0).name


def test_the_label_of_an_arm_is_in_the_name_and_not_in_the_hash():
    one, two = RunConfig(arm="imp"), RunConfig(arm="mine")
    assert config_hash(one) == config_hash(two) and one.name != two.name


def test_arms_of_a_study_share_one_dense_run_and_only_dense_fields_move_it():
    dense = {arm: presets.arm_config("quick", arm).dense.name for arm in ARMS}
    own = [arm for arm, name in dense.items() if name != dense["imp"]]
    assert own == [arm for arm in ARMS if arm.endswith(("-at-start", "-without-warmup"))], "they change level 0 itself"
    base = RunConfig()
    for name in CHANGED:
        if name in (*NEEDS, "milestones", "perturb_rate"):
            continue  # some combinations of these move it: at initialisation, in whole cycles
        moved = dataclasses.replace(base, **{name: CHANGED[name]}).dense.name != base.dense.name
        assert moved == (name in DENSE_FIELDS), name


def test_a_changed_default_cannot_relabel_an_old_run():
    assert RunConfig().record()["momentum"] == 0.9, "defaults are written out and hashed"


@pytest.mark.parametrize("preset", presets.PRESETS)
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_of_every_preset_is_a_valid_run(preset, arm):
    config = presets.arm_config(preset, arm)
    assert config.arm == arm and config.name.startswith(f"{arm}-{config.dataset}-")


def test_arms_are_planned_after_the_arms_whose_masks_they_take():
    assert presets.needed_arms(["imp-long", "imp-on-lrr-mask"]) == ["imp", "imp-long", "lrr", "imp-on-lrr-mask"]


def test_the_quick_preset_is_as_defined():
    config = presets.arm_config("quick", "lrr")
    assert (config.model, config.width, config.epochs, config.batch_size) == ("resnet20", 8, 16, 64)
    assert (config.prune_rate, config.levels, len(presets.PRESETS["quick"].seeds)) == (0.5, 8, 4)
    assert presets.arm_config("quick", "imp-long").trained_levels == range(6, 8)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(prune_rate=20.0), "20 % is written 0.2"),
        (dict(prune_rate=0.0), r"prune_rate must lie in \(0, 1\)"),
        (dict(prune_rate=float("nan")), "prune_rate"),
        (dict(rewind="lr"), "did you mean 'lrr'"),
        (dict(mask_source="run"), "needs mask_run"),
        (dict(mask_run="imp-x"), "takes no mask_run"),
        (dict(rewind="wr"), "rewind_epoch goes with rewind 'wr'"),
        (dict(warmup_epochs=16), r"warmup_epochs must lie in \[0, epochs = \d+\), got 16: lower --warmup-epochs"),
        (dict(milestones=(0.75, 0.5), schedule="step"), "milestones must rise"),
        (dict(milestones=("half",), schedule="step"), "milestones must be numbers"),
        (dict(schedule="step"), "milestones go with schedule 'step'"),
        (dict(milestones=(0.5,)), "milestones go with schedule 'step'"),
        (dict(first_level=3), "skips levels that later ones build on"),
        (dict(first_level=8, mask_source="random"), "first_level must lie in"),
        (dict(cycles="level + 1"), "a control on given masks"),
        (dict(lr=float("inf")), "lr must be finite"),
        (dict(epochs=True), "epochs must be int"),
        (dict(width="8"), "width must be int"),
        (dict(dataset="../etc"), "dataset must be lower-case words"),
        (dict(momentum=1.0), "momentum must lie in"),
        (dict(batch_size=0), "batch_size must be at least 1"),
    ],
)
def test_settings_that_cannot_be_run_are_refused_with_what_to_do(settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(**settings)


def test_unknown_presets_and_arms_are_refused_with_the_nearest_name_first():
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        presets.arm_config("quik", "imp")
    with pytest.raises(ConfigError, match="did you mean 'imp-long'"):
        presets.arm_config("quick", "imp-lon")


def test_table_1_names_a_source_for_every_entry():
    table = table1()
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    cells = [cell.strip(" |") for row in rows for cell in row[1:]]
    assert cells and all(cell == "-" or cell.endswith(")") for cell in cells)
    assert "150 (code: TurboPrune)" in cells and "resnet50 (summary)" in cells and "0.9 (ours)" in cells
