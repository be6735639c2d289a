"""Runs under both protocols: warm-up, rewind points, strikes, signs from elsewhere, SCULPT, resumption."""

import dataclasses
import json
import math

import pytest
import torch

from empirics import models
from empirics.pruning import masks as m
from empirics.runs import levels
from empirics.runs.context import initial_network, new_context
from empirics.runs.level_start import dense_state, shuffled_magnitudes
from empirics.runs.mask_sources import load_masks, load_signs
from empirics.runs.resume import Interrupted
from empirics.schedules import kept_weights
from empirics.storage.run_folder import INITIAL_TENSORS, SIGN_TENSORS, WEIGHT_TENSORS, RunFolder
from empirics.studies.arms import ARMS, differs
from empirics.studies.presets import PRESETS
from empirics.studies.protocols import settings_under
from empirics.train import TrainingSettings, sgd
from tests.empirics.interrupted_runs import begin, results_of, stopping_after
from tests.empirics.tiny_runs import TINY, run_arms, setup_in

pytestmark = pytest.mark.slow

SETTINGS = dict(levels=4, epochs=3, warmup_epochs=2)
STEPS = 5  # an epoch: 160 images in batches of 32
NEW = ["imp-perturbed-often", "lrr-perturbed-often", "sign-shuffled", "signs-of-lrr", "signs-of-lrr-shuffled",
       "imp-fixed-signs", "lrr-fixed-signs", "cyclic-random", "sculpt"]  # fmt: skip


@pytest.fixture(scope="module", params=["ours", "authors"])
def study(request, tmp_path_factory, tiny_digits):
    """Arms of both protocols; tests read them and do not write to them."""
    setup = setup_in(tmp_path_factory.mktemp(request.param), tiny_digits)
    settings = settings_under(request.param, PRESETS["quick"], TINY | SETTINGS)
    wanted = [arm for arm in ("imp", "lrr", "imp-warm", "wr", "imp-on-lrr-mask", "lrr-on-imp-mask", "lrr-bn-rewind",
                              "lrr-bn-rewind-on-imp-mask", "imp-on-random-mask", "magnitude-bn-kept", *NEW)
              if differs(arm, settings)]  # fmt: skip
    return setup, run_arms(wanted, setup, protocol=request.param, **SETTINGS), request.param


def folder(study, arm: str) -> RunFolder:
    setup, configs, _ = study
    return RunFolder(setup.results, (configs["imp"].dense if arm == "dense" else configs[arm]).name, 0)


def weights(study, arm: str, level: int) -> dict[str, torch.Tensor]:
    return folder(study, arm).load_tensors(level, WEIGHT_TENSORS)


def layers(study) -> dict:
    setup, configs, _ = study
    return models.prunable_weights(initial_network(configs["imp"], 0, setup.dataset))


def masks(study, arm: str, level: int) -> m.Masks:
    return load_masks(folder(study, arm), level, layers(study))


def signs_of(study, arm: str, level: int, moment: str) -> dict[str, torch.Tensor]:
    return load_signs(folder(study, arm), level, moment, layers(study))


def metrics(run: RunFolder, level: int) -> list[dict]:
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["level"] == level]


def rewind_state(study) -> dict[str, torch.Tensor]:
    """The dense run's state after its two epochs of warm-up, trained here once more."""
    setup, configs, _ = study
    context = new_context(configs["imp"], 0, setup)
    return dense_state(context, 2, context.initial())


# --- warm-up and rewind point -------------------------------------------------------------------------------------


def test_a_once_only_warm_up_lengthens_level_0_and_later_levels_start_at_the_peak(study):
    _, configs, protocol = study
    first = metrics(folder(study, "dense"), 0)
    later = metrics(folder(study, "lrr"), 2)
    peak = configs["lrr"].lr
    if protocol == "authors":
        assert [line["epoch"] for line in first] == [0, 1, 2, 3, 4] and len(later) == 3
        assert first[0]["lr"] == pytest.approx(peak / 2) and first[1]["lr"] == pytest.approx(peak)
        assert [line["lr"] for line in later] == pytest.approx([line["lr"] for line in first[2:]])
        assert later[0]["lr"] > 0.7 * peak and folder(study, "dense").level_record(0)["epochs"] == 5
    else:
        assert len(first) == 3 and [line["lr"] for line in later] == [line["lr"] for line in first]
        assert later[0]["lr"] == pytest.approx(peak / 2)


def test_the_cosine_of_the_authors_ends_at_its_floor(study):
    last, warm = metrics(folder(study, "imp"), 1)[-1]["lr"], 0 if study[2] == "authors" else 2 * STEPS
    height = 0.5 * (1 + math.cos(math.pi * (3 * STEPS - 1 - warm) / (3 * STEPS - warm)))
    floor = 0.01 if study[2] == "authors" else 0.0
    assert last == pytest.approx(floor + (TINY["lr"] - floor) * height)


def test_imp_restarts_from_the_state_after_the_warm_up_batch_norm_included(study, tmp_path):
    """Under ours the arm imp-warm does; the state is made again bit for bit."""
    arm = "imp" if study[2] == "authors" else "imp-warm"
    point, initial = rewind_state(study), folder(study, "dense").load_tensors(0, INITIAL_TENSORS)
    assert any(not torch.equal(point[name], initial[name]) for name in point)
    for level in (1, 3):
        kept, start = masks(study, arm, level), signs_of(study, arm, level, "start")
        for name, mask in kept.items():
            assert torch.equal(start[name], (point[name] * mask) < 0)
    setup, configs, _ = study
    here, begun, train_level = dataclasses.replace(setup, results=tmp_path), {}, levels.train_level
    config = begin(here, (setup, configs), arm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            levels, "train_level", lambda *level: begun.setdefault(level[1], level[2]) and train_level(*level)
        )
        levels.run(config, 0, here)
    others = [name for name in point if name not in layers(study)]
    assert all(torch.equal(begun[level][name], point[name]) for level in (1, 2, 3) for name in others)


def test_the_same_number_of_epochs_is_trained_from_a_warm_rewind_point_and_wr_resumes(study):
    if study[2] == "ours":
        assert [line["epoch"] for line in metrics(folder(study, "imp-warm"), 1)] == [0, 1, 2]
        assert [line["epoch"] for line in metrics(folder(study, "wr"), 1)] == [2]
    else:
        assert [line["epoch"] for line in metrics(folder(study, "imp"), 1)] == [0, 1, 2]


def test_signs_count_as_initial_at_the_rewind_point_of_the_protocol(study):
    """For IMP the readings (i) and (ii) are one under both protocols; flips since epoch 0 stand beside."""
    record = folder(study, "imp").signs_record()["layers"]
    assert all(layer["flips"]["level_start"][1:] == layer["flips"]["initial"][1:] for layer in record.values())
    at_zero = [layer["flips"].get("epoch_0") for layer in record.values()]
    if study[2] == "ours":
        assert at_zero == [None] * len(at_zero)
        return
    assert all(counts is not None for counts in at_zero)
    assert any(layer["flips"]["epoch_0"] != layer["flips"]["initial"] for layer in record.values())
    point, kept = rewind_state(study), masks(study, "lrr", 2)
    end, start = signs_of(study, "lrr", 2, "end"), signs_of(study, "dense", 0, "start")
    stored = folder(study, "lrr").level_record(2)["layers"]
    for name, mask in kept.items():
        flips = stored[name]["flips"]
        assert flips["initial"] == int(((end[name] != (point[name] < 0)) & mask).sum())
        assert flips["epoch_0"] == int(((end[name] != start[name]) & mask).sum())
    zero = folder(study, "dense").level_record(0)["layers"]
    over = signs_of(study, "dense", 0, "end")
    for name, layer in zero.items():
        assert layer["flips"]["previous"] == int((over[name] != (point[name] < 0)).sum())


def test_level_1_of_exchange_arms_is_that_of_the_arm_itself(study):
    for exchanged, own in (("imp-on-lrr-mask", "imp"), ("lrr-on-imp-mask", "lrr"),
                           ("lrr-bn-rewind-on-imp-mask", "lrr-bn-rewind")):  # fmt: skip
        one, two = weights(study, exchanged, 1), weights(study, own, 1)
        assert all(torch.equal(one[name], two[name]) for name in two)


def test_batch_norm_of_lrr_with_bn_rewind_returns_to_the_rewind_point(study):
    setup, configs, protocol = study
    context = new_context(configs["lrr-bn-rewind"], 0, setup)
    from empirics.runs.level_start import rewind_point, rewound_start

    point = rewind_point(context)
    expected = rewind_state(study) if protocol == "authors" else context.initial()
    start = rewound_start(context, 2, point, weights(study, "lrr-bn-rewind", 1), masks(study, "lrr-bn-rewind", 2))
    others = [name for name in start if name not in layers(study)]
    assert others and all(torch.equal(start[name], expected[name]) for name in others)


def test_the_record_has_nominal_and_kept_density(study):
    record = folder(study, "imp-on-random-mask").level_record(1)
    total = record["total"]
    assert record["nominal_density"] == kept_weights(total, 0.5, 1) / total
    assert (record["density"] < 0.45) if study[2] == "authors" else (record["density"] == record["nominal_density"])


# --- strikes ------------------------------------------------------------------------------------------------------


def test_strikes_flip_three_tenths_of_the_survivors_and_what_imp_rewinds_to_stays(study):
    for arm in ("imp-perturbed-often", "lrr-perturbed-often"):
        record = folder(study, arm).level_record(2)
        assert set(record["strike"]) == {"epoch", "test_accuracy_before", "test_accuracy_after"}
        assert record["strike"]["epoch"] == 2, "the last strike is at the start of the last epoch"
    assert folder(study, "imp").level_record(2)["strike"] is None
    start, point = signs_of(study, "imp-perturbed-often", 2, "start"), _struck_point(study)
    for name, mask in masks(study, "imp-perturbed-often", 2).items():
        assert torch.equal(start[name], (point[name] * mask) < 0)


def _struck_point(study) -> dict[str, torch.Tensor]:
    setup, configs, protocol = study
    context = new_context(configs["imp-perturbed-often"], 0, setup)
    return dense_state(context, 2, context.initial()) if protocol == "authors" else context.initial()


def test_both_struck_arms_share_a_dense_run_that_is_struck_too(study):
    _, configs, _ = study
    one, two = (configs[arm].dense for arm in ("imp-perturbed-often", "lrr-perturbed-often"))
    assert one.name == two.name != configs["imp"].dense.name
    struck = RunFolder(study[0].results, one.name, 0).level_record(0)["strike"]
    assert struck["epoch"] == (4 if study[2] == "authors" else 2)


def test_a_draw_is_of_seed_level_and_number_and_its_share_is_the_probability():
    from empirics.pruning.signs import draw_strike

    kept = {"a": torch.ones(300, 100, dtype=torch.bool), "b": torch.zeros(50, dtype=torch.bool)}
    one = draw_strike(kept, 0.3, 0, 2, 1)
    assert torch.equal(one["a"], draw_strike(kept, 0.3, 0, 2, 1)["a"]) and not one["b"].any()
    assert abs(float(one["a"].float().mean()) - 0.3) < 0.01
    for other in ((1, 2, 1), (0, 3, 1), (0, 2, 2)):
        assert not torch.equal(one["a"], draw_strike(kept, 0.3, *other)["a"])


# --- signs --------------------------------------------------------------------------------------------------------


def test_fixed_signs_are_never_left_and_a_weight_may_come_back_from_zero(study):
    for arm in ("imp-fixed-signs", "lrr-fixed-signs"):
        for level in (1, 3):
            kept, start, end = (
                masks(study, arm, level),
                signs_of(study, arm, level, "start"),
                weights(study, arm, level),
            )
            for name, mask in kept.items():
                crossed = torch.where(start[name], end[name] > 0, end[name] < 0)
                assert not (crossed & mask).any()


def test_a_weight_that_crosses_zero_waits_there_without_momentum_and_may_come_back():
    model = torch.nn.Sequential(torch.nn.Linear(3, 1, bias=False))
    (weight,) = model.parameters()
    weight.data = torch.tensor([[0.1, -0.1, 0.1]])
    kept = {"0.weight": torch.ones(1, 3, dtype=torch.bool)}
    numbers = TrainingSettings(8, 0, momentum=0.9, weight_decay=0.0, precision="float32")
    optimizer = sgd(model, kept, numbers, {"0.weight": weight.detach().clone()})
    optimizer.param_groups[0]["lr"] = 1.0
    weight.grad = torch.tensor([[0.3, -0.3, 0.05]])  # the first two are carried across zero, the third is not
    optimizer.step()
    assert weight.detach().tolist() == [[0.0, 0.0, pytest.approx(0.05)]]
    assert optimizer.state[weight]["momentum_buffer"].tolist() == [[0.0, 0.0, pytest.approx(0.05)]]
    weight.grad = torch.tensor([[-0.2, -0.2, 0.0]])
    optimizer.step()
    now = weight.detach().tolist()[0]
    assert now[:2] == [pytest.approx(0.2), 0.0], "back with its own sign; held on the other side"


def test_without_the_rule_signs_would_be_left(study):
    kept, start, end = masks(study, "imp", 1), signs_of(study, "imp", 1, "start"), weights(study, "imp", 1)
    assert any(((start[name] != (end[name] < 0)) & mask).any() for name, mask in kept.items())


def test_signs_of_lrr_are_those_at_the_end_of_the_level_before_or_the_own_initial_ones(study):
    setup, configs, protocol = study
    point = rewind_state(study) if protocol == "authors" else folder(study, "dense").load_tensors(0, INITIAL_TENSORS)
    for level in (1, 2, 3):
        source = "lrr" if level > 1 else "dense"
        theirs, alive = signs_of(study, source, level - 1, "end"), masks(study, source, level - 1)
        start, own = signs_of(study, "signs-of-lrr", level, "start"), masks(study, "signs-of-lrr", level)
        pruned = 0
        for name, mask in own.items():
            wanted = torch.where(alive[name], theirs[name], point[name] < 0)
            assert torch.equal(start[name][mask], wanted[mask])
            pruned += int((mask & ~alive[name]).sum())
    assert pruned, "at level 3 some of its weights are pruned in LRR"
    assert folder(study, "signs-of-lrr").level_record(2)["depends_on"].keys() >= {f"{configs['lrr'].name}/level-01"}


def test_shuffled_magnitudes_are_the_survivors_own_in_another_order_with_their_own_signs():
    state = {"a": torch.randn(20, 30, generator=torch.Generator().manual_seed(1))}
    kept = {"a": torch.rand(20, 30, generator=torch.Generator().manual_seed(2)) < 0.5}
    found = shuffled_magnitudes(state, kept, 0, 3)["a"]
    assert torch.equal(found[kept["a"]].abs().sort().values, state["a"][kept["a"]].abs().sort().values)
    assert torch.equal(found < 0, state["a"] < 0) and torch.equal(found[~kept["a"]], state["a"][~kept["a"]])
    assert (found[kept["a"]] != state["a"][kept["a"]]).float().mean() > 0.9
    assert torch.equal(found, shuffled_magnitudes(state, kept, 0, 3)["a"])
    assert not torch.equal(found, shuffled_magnitudes(state, kept, 0, 2)["a"])


def test_sign_shuffled_starts_from_the_signs_of_sign_rewind(study):
    trained = signs_of(study, "sign-shuffled", 1, "end")
    start, kept = signs_of(study, "sign-shuffled", 2, "start"), masks(study, "sign-shuffled", 2)
    nonzero = weights(study, "sign-shuffled", 1)
    assert all(
        torch.equal(start[name][mask & (nonzero[name] != 0)], trained[name][mask & (nonzero[name] != 0)])
        for name, mask in kept.items()
    )


# --- cyclic training and SCULPT -----------------------------------------------------------------------------------


def test_cyclic_training_has_a_cycle_more_at_every_level_and_starts_at_the_rewind_point(study):
    for arm in ("cyclic-random", "sculpt"):
        for level in (1, 2, 3):
            lines = metrics(folder(study, arm), level)
            assert [line["cycle"] for line in lines] == [c for c in range(level + 1) for _ in range(3)]
    point = rewind_state(study) if study[2] == "authors" else folder(study, "dense").load_tensors(0, INITIAL_TENSORS)
    kept, start = masks(study, "cyclic-random", 2), signs_of(study, "cyclic-random", 2, "start")
    assert all(torch.equal(start[name], (point[name] * mask) < 0) for name, mask in kept.items())


def test_sculpt_starts_from_four_times_the_density_and_ends_with_exactly_the_levels_count(study):
    total = sum(weight.numel() for weight in layers(study).values())
    for level in (1, 2, 3):
        record = folder(study, "sculpt").level_record(level)
        assert record["n_kept"] == kept_weights(total, 0.5, level)
        start = folder(study, "sculpt").load_tensors(level, SIGN_TENSORS)
        assert start
    end, kept = weights(study, "sculpt", 3), masks(study, "sculpt", 3)
    assert all((end[name][~mask] == 0).all() for name, mask in kept.items())
    random, sculpted = masks(study, "cyclic-random", 3), kept
    assert any(not torch.equal(random[name], sculpted[name]) for name in kept), "pruned by magnitude, not at random"


def test_sculpt_begins_dense_while_four_times_the_density_is_all(tiny_digits, tmp_path):
    """At prune rate .2 level 1 keeps .8, more than clamped densities keep of a nominal 1."""
    setup = setup_in(tmp_path, tiny_digits)
    few = dict(levels=3, epochs=1, warmup_epochs=0, prune_rate=0.2)
    config = run_arms(["sculpt"], setup, protocol="authors", **few)["sculpt"]
    record = RunFolder(tmp_path, config.name, 0).level_record(1)
    assert record["n_kept"] == kept_weights(record["total"], 0.2, 1)


def test_no_rewind_point_is_trained_for_a_rule_that_takes_nothing_from_it(study):
    from empirics.runs.level_start import rewind_point

    setup, configs, _ = study
    steps = [0]

    def count() -> bool:
        steps[0] += 1
        return False

    context = new_context(configs["lrr"], 0, dataclasses.replace(setup, stop=count))
    assert all(torch.equal(value, context.initial()[name]) for name, value in rewind_point(context).items())
    assert steps == [0]


# --- resumption ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm, after", [
    ("dense", 7), ("dense", 12), ("imp", 8), ("imp", 14), ("imp-perturbed-often", 24), ("lrr-perturbed-often", 18),
    ("imp-fixed-signs", 23), ("sculpt", 17), ("sculpt", 22), ("sculpt", 31),
    ("signs-of-lrr-shuffled", 22), ("cyclic-random", 44),
])  # fmt: skip
def test_a_run_stopped_at_any_step_goes_on_to_the_same_bits(study, tiny_digits, tmp_path, arm, after):
    setup, configs, protocol = study
    here = setup_in(tmp_path, tiny_digits)
    if arm == "dense":
        config = configs["imp"].dense
    else:
        config = begin(here, (setup, configs), arm)
        if config.sign_run:
            begin_all(here, setup, config.sign_run)
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(here, stop=stopping_after(after), checkpoint_epochs=1))
    levels.run(config, 0, here)
    assert results_of(RunFolder(tmp_path, config.name, 0)) == results_of(RunFolder(setup.results, config.name, 0))


def begin_all(here, setup, run: str) -> None:
    import shutil

    shutil.copytree(setup.results / "runs" / run, here.results / "runs" / run)


def test_every_arm_is_tried_here_or_with_all_arms():
    assert set(NEW) <= set(ARMS)
