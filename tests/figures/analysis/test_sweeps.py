import pytest

from figures.analysis.sweeps import differing, find_sweeps, format_value, setting, sweep_command
from figures.results.load import load
from tests.figures import synthetic_sweeps as made_up


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("criterion", ("grasp", "magnitude", "magnitude-layerwise", "random", "snip", "synflow")),
        ("prune-rate", (0.2, 0.5, 0.7)),
        ("schedule", ("constant", "cosine", "step", "triangular")),
        ("model", ("resnet8", "vgg11")),
        ("width", (2, 4, 8, 16)),
    ],
)
def test_values_stand_in_order_and_the_common_settings_are_one_of_them(records, name, wanted):
    (found,) = find_sweeps(records, name)
    assert found.x == wanted and found.has_base
    assert [results.study.swept for results in found.studies].count("base") == 1
    assert found.command == f"{sweep_command(name)}" and "--preset quick" in found.command
    assert found.own.study.study == "quick-digits"


def test_a_study_without_runs_has_the_value_that_its_record_says(tmp_path):
    made_up.study(tmp_path, "criterion", {"criterion": "snip"}, 1.0, seeds=(0,))
    for path in tmp_path.glob("runs/*/config.json"):
        path.unlink()
    (found,) = find_sweeps(load(tmp_path), "criterion")
    assert found.x == ("snip",) and not found.studies[0].arms


def test_a_value_that_nothing_says_is_not_known_and_comes_last(tmp_path):
    made_up.base(tmp_path, seeds=(0,))
    made_up.study(tmp_path, "criterion", {"criterion": "snip"}, 1.0, seeds=(0,))
    for path in tmp_path.glob("runs/*resnet8*/config.json"):
        path.unlink()
    (found,) = find_sweeps(load(tmp_path), "criterion")
    assert found.x == ("snip", None)
    assert format_value(None) == "not known"


def test_an_arm_that_changes_the_setting_itself_does_not_speak_for_the_study(records):
    from dataclasses import replace

    results = records.sweeps[0]
    other = replace(results.arms["imp"], config={"warmup_epochs": 0})
    mixed = replace(results, arms={"imp-without-warmup": other, **results.arms})
    assert setting(mixed, "warmup_epochs") == 1


def test_a_sweep_on_another_network_than_the_presets_does_not_take_the_presets_study_in(tmp_path):
    """The widths of presets with ResNet18 are those of a ResNet20: width 64 of the one is none of the other's."""
    kwargs = {"preset": "cifar100", "dataset": "cifar100", "shared_overrides": {}, "seeds": (0,)}
    made_up.study(tmp_path, None, {}, 3.0, **kwargs)
    for width in (8, 64):
        made_up.study(tmp_path, "width", {"model": "vgg11", "width": width}, 1.0, **kwargs)
    (found,) = find_sweeps(load(tmp_path), "width")
    assert found.x == (8, 64) and {results.study.model for results in found.studies} == {"vgg11"}
    assert found.has_base, "there is none to wait for"


def test_the_presets_own_study_is_a_value_where_nothing_is_changed_at_all_values(tmp_path):
    kwargs = {"preset": "cifar10", "dataset": "cifar10", "shared_overrides": {}, "seeds": (0,)}
    made_up.study(tmp_path, "schedule", {"schedule": "step"}, 1.0, **kwargs)
    assert not find_sweeps(load(tmp_path), "schedule")[0].has_base
    made_up.study(tmp_path, None, {}, 3.0, **kwargs)
    (found,) = find_sweeps(load(tmp_path), "schedule")
    assert found.x == ("cosine", "step") and found.has_base


def test_presets_and_common_settings_are_kept_apart(tmp_path):
    for shared_overrides in ({"model": "resnet8"}, {"model": "resnet8", "epochs": 2}):
        made_up.study(tmp_path, "width", {"width": 2}, 1.0, shared_overrides=shared_overrides, seeds=(0,))
    made_up.study(
        tmp_path, "width", {"width": 4}, 1.0, preset="cifar10", dataset="cifar10", shared_overrides={}, seeds=(0,)
    )
    found = find_sweeps(load(tmp_path), "width")
    assert len(found) == 3 == len({sweep.place for sweep in found})


def test_a_common_setting_that_is_varied_is_not_said_to_hold_everywhere(records):
    assert differing(find_sweeps(records, "model")[0]) == {}
    assert differing(find_sweeps(records, "width")[0]) == {"model": "resnet8"}


def test_values_are_written_without_needless_zeros():
    assert [format_value(x) for x in (0.5, 8, 0.30000000000000004, "cosine")] == ["0.5", "8", "0.3", "cosine"]


def test_a_sweep_of_no_entry_is_read_from_what_its_studies_vary(tmp_path):
    """The preset's own study and one of two settings that vary together."""
    for value in (0.5, 0.25):
        made_up.study(tmp_path, "momenta", {"momentum": value}, 1.0, seeds=(0,))
        made_up.study(tmp_path, "lr", {"lr": value, "epochs": round(4 / value)}, 1.0, seeds=(0,))
        made_up.study(tmp_path, "both", {"lr": value, "momentum": value}, 1.0, seeds=(0,))
    records = load(tmp_path)
    assert find_sweeps(records, "momenta")[0].x == (0.25, 0.5), "the only setting that varies"
    assert find_sweeps(records, "lr")[0].x == (0.25, 0.5), "the setting that has the sweep's name"
    (both,) = find_sweeps(records, "both")
    assert both.x == tuple(results.study.study for results in both.studies) and both.has_base, "names of studies"


def test_values_of_several_settings_stay_named_by_their_studies(tmp_path):
    """With one study of them, only one setting seems to vary: the values would change as more are run."""
    made_up.study(tmp_path, "perturbation", {"perturb_rate": 0.2}, 1.0, seeds=(0,))
    (found,) = find_sweeps(load(tmp_path), "perturbation")
    assert found.x == (found.studies[0].study.study,) and found.has_base
