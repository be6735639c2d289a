import dataclasses

import pytest

from empirics.config import ConfigError, RunConfig, config_hash
from empirics.settings import has_neutral_value, setting
from empirics.studies import presets
from empirics.studies.arms import ARMS, differs
from empirics.studies.protocols import PROTOCOLS, settings_under
from empirics.studies.table1 import table1
from tests.empirics.setting_values import other_value, run_beside

OURS, AUTHORS = (
    [arm for arm in ARMS if differs(arm, settings_under(protocol, presets.PRESETS["quick"]))] for protocol in PROTOCOLS
)
FIELDS = {field.name: field for field in dataclasses.fields(RunConfig)}
# the settings of the first version: all of them are in every name. This list never grows.
FIRST = """
    arm dataset data_hash images_per_class validation_per_class image_size model width epochs batch_size micro_batch lr
    schedule milestones warmup_epochs momentum weight_decay precision mask_snapshot_epochs prune_rate levels criterion
    densities pruning scores_from rewind rewind_epoch bn_rewind mask_source mask_run cycles first_level perturb_rate
    perturb_level perturb_scope
""".split()


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


@pytest.mark.parametrize("name", [name for name in FIELDS if FIELDS[name].metadata["hashed"]])
def test_every_setting_that_can_change_a_result_changes_the_hash(name):
    base = run_beside(name)
    assert config_hash(dataclasses.replace(base, **{name: other_value(FIELDS[name])})) != config_hash(base)


def test_only_the_label_cannot_change_a_result():
    assert [name for name, field in FIELDS.items() if not field.metadata["hashed"]] == ["arm"]


def test_every_setting_after_the_first_version_has_a_neutral_value():
    """Without one every stored run would have another name, and would be trained again."""
    assert [name for name, field in FIELDS.items() if not has_neutral_value(field) and name not in FIRST] == []


def with_nesterov(default: bool) -> type[RunConfig]:
    """The settings with one more, as the next version may have it."""
    field = setting(default, "Nesterov momentum", level_0=True, neutral=False)
    return dataclasses.make_dataclass("Later", [("nesterov", bool, field)], bases=(RunConfig,), frozen=True)


def test_a_new_setting_at_its_neutral_value_leaves_every_stored_run_its_name():
    later = with_nesterov(False)
    for arm in OURS:
        now = presets.arm_config("quick", arm)
        then = later(**{name: getattr(now, name) for name in FIELDS})
        assert (then.name, then.record()) == (now.name, now.record())
    assert config_hash(later(nesterov=True)) != config_hash(RunConfig())
    assert "nesterov" in later(nesterov=True).record()


def test_a_new_setting_whose_default_is_not_neutral_renames_the_runs_that_it_changes():
    later = with_nesterov(True)
    assert config_hash(later()) != config_hash(RunConfig())
    assert config_hash(later(nesterov=False)) == config_hash(RunConfig())


def test_a_schedule_and_its_milestones_change_the_hash():
    steps = [RunConfig(schedule="step", milestones=m) for m in ((0.5,), (0.5, 0.75))]
    assert len({config_hash(config) for config in (*steps, RunConfig(), RunConfig(schedule="constant"))}) == 4


def test_a_whole_number_and_the_same_float_are_one_run():
    assert RunConfig(lr=1).name == RunConfig(lr=1.0).name


def test_the_label_of_an_arm_is_in_the_name_and_not_in_the_hash():
    one, two = RunConfig(arm="imp"), RunConfig(arm="mine")
    assert config_hash(one) == config_hash(two) and one.name != two.name


def test_arms_of_a_study_share_one_dense_run():
    change_level_0 = ("-at-start", "-without-warmup", "-warmup-every", "-perturbed-often")
    for protocol, arms in (("ours", OURS), ("authors", AUTHORS)):
        dense = {arm: presets.arm_config("quick", arm, protocol).dense.name for arm in arms}
        own = [arm for arm, name in dense.items() if name != dense["imp"]]
        assert own == [arm for arm in arms if arm.endswith(change_level_0)]
        struck = {dense[arm] for arm in arms if arm.endswith("-perturbed-often")}
        assert len(struck) == 1, "both struck arms share a dense run"


@pytest.mark.parametrize("name", [name for name in FIELDS if FIELDS[name].metadata["hashed"]])
def test_exactly_the_settings_of_level_0_make_another_dense_run(name):
    base = run_beside(name)
    changed = dataclasses.replace(base, **{name: other_value(FIELDS[name])})
    reaches = FIELDS[name].metadata["level_0"](changed)
    if name == "perturb_level":  # it is not part of level 0, and says whether the flipped share is
        reaches = FIELDS["perturb_rate"].metadata["level_0"](base)
    assert (changed.dense.name != base.dense.name) == reaches


def test_settings_reach_level_0_only_where_they_can_change_it():
    """A snapshot needs the mask of level 1, cycles lengthen level 0, and signs may be flipped before it."""
    snapshot = RunConfig(mask_snapshot_epochs=(4,))
    for change in (dict(prune_rate=0.2), dict(criterion="random"), dict(densities="uniform")):
        assert dataclasses.replace(snapshot, **change).dense.name != snapshot.dense.name
        assert dataclasses.replace(RunConfig(), **change).dense.name == RunConfig().dense.name
    assert RunConfig(cycles="3").dense.name != RunConfig().dense.name
    early, late = RunConfig(perturb_rate=0.2), RunConfig(perturb_rate=0.2, perturb_level=3)
    assert early.dense.name != RunConfig().dense.name == late.dense.name


def test_every_setting_is_documented():
    for name, field in FIELDS.items():
        assert f"{name}: {field.metadata['help']}." in RunConfig.__doc__


def test_a_changed_default_cannot_relabel_an_old_run():
    assert RunConfig().record()["momentum"] == 0.9, "defaults are written out and hashed"


@pytest.mark.parametrize("preset", presets.PRESETS)
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_of_every_preset_is_a_valid_run(preset, arm):
    spec = presets.PRESETS[preset]
    different = [protocol for protocol in PROTOCOLS if differs(arm, settings_under(protocol, spec))]
    assert different or (preset == "imagenet" and arm.endswith("-warmup-every")), (
        "its warm-up is at every level in both"
    )
    for protocol in different:
        config = presets.arm_config(preset, arm, protocol)
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
        (dict(rewind="wr"), "rewind 'wr' resumes the schedule at rewind_epoch, which must be above 0"),
        (dict(rewind="wr", rewind_epoch=1, warmup="once"), "rewind 'wr' is `imp` with warmup 'once'"),
        (dict(rewind="fresh", mask_source="run", mask_run="x", rewind_epoch=1), "starts from another network, got 1"),
        (dict(rewind_epoch=16), "rewind_epoch must lie in .*, got 16"),
        (dict(initial_epoch=16), "initial_epoch must lie in .*, got 16"),
        (dict(warmup="once", warmup_epochs=0), "go with warmup_epochs above 0"),
        (dict(warmup_shape="constant", warmup_epochs=0), "go with warmup_epochs above 0"),
        (dict(lr_floor=0.01, schedule="constant"), "lr_floor goes with schedule 'cosine'"),
        (dict(lr_floor=0.2), "lies below lr = 0.1, got 0.2"),
        (dict(strikes=5), "strikes and strike_rate go together"),
        (dict(strikes=5, strike_rate=0.3, cycles="2"), "strikes go with one cycle per level"),
        (dict(sign_run="lrr-x"), "sign_run and shuffled_magnitudes go with rewind 'sign', got 'imp'"),
        (dict(sculpt_factor=4.0), "sculpt_factor goes with mask_source 'random'"),
        (dict(sculpt_factor=0.5, mask_source="random", cycles="level + 1"), "or at least 1, got 0.5"),
        (
            dict(warmup_epochs=16),
            r"warmup_epochs must lie in \[0, epochs = \d+\), got 16: use --warmup-epochs 15 or less, or raise",
        ),
        (dict(epochs=1), "got 1: use --warmup-epochs 0, or raise --epochs"),
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
