"""Faults of the field's code: each is absent here, and each is noticed when it is put back.

A fault is a check on real tiny runs (or on the function that it would be in), and one or more ways to put it back. The
check passes on the package as it is, and must fail by an assertion of its own once the package behaves as the faulty
code does: a mutant that merely crashes proves nothing.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from empirics import models, schedules, setting_checks, train
from empirics.config import ConfigError, RunConfig
from empirics.execution import estimate
from empirics.pruning import criteria
from empirics.pruning import masks as m
from empirics.runs import context as run_context
from empirics.runs import level_start, levels, mask_sources, training
from empirics.runs.context import initial_network, new_context, state_of
from empirics.runs.mask_sources import load_masks
from empirics.schedules import CONSTANT_WARMUP
from empirics.settings import has_neutral_value, setting
from empirics.storage import run_folder
from empirics.storage.run_folder import INITIAL_TENSORS, WEIGHT_TENSORS, RunFolder, StoreError
from tests.empirics.tiny_runs import TINY, arm, run_arms, setup_in

pytestmark = pytest.mark.slow

LOUD = (AssertionError, pytest.fail.Exception)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A check that the fault is absent, ways to put it back, and how the original crashes, where it does."""

    check: Callable
    put_back: tuple[Callable, ...]
    crash: tuple[type[Exception], ...] = ()


def runs(tmp_path, dataset, *names: str, **settings) -> dict[str, RunFolder]:
    """Train arms, one epoch a level unless told otherwise; the folders of the arms and of their dense run."""
    configs = run_arms(list(names), setup_in(tmp_path, dataset), **{"epochs": 1, **settings})
    dense = configs[names[0]].dense
    return {name: RunFolder(tmp_path, config.name, 0) for name, config in (configs | {"dense": dense}).items()}


def saved_masks(folder: RunFolder, level: int, dataset) -> m.Masks:
    return load_masks(folder, level, models.prunable_weights(initial_network(arm("imp"), 0, dataset)))


def metrics(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


def same(one, other) -> bool:
    return set(one) == set(other) and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def total_weights(dataset) -> int:
    return sum(weight.numel() for weight in models.prunable_weights(initial_network(arm("imp"), 0, dataset)).values())


def rounded_start(patch: pytest.MonkeyPatch) -> None:
    """Start level 0 from weights of one decimal: many are equal, and a quarter of them exactly zero."""
    start = level_start.dense_start

    def rounded(context):
        return {name: (10 * value).round() / 10 if value.ndim > 1 else value for name, value in start(context).items()}

    patch.setattr(level_start, "dense_start", rounded)


# --- pruned weights stay zero -------------------------------------------------------------------------------------


def check_every_step(tmp_path, dataset, weight_decay: float, gradients: bool) -> None:
    """Pruned weights and their momentum are zero after every step of a run."""
    make, seen, revived = train.sgd, [], []

    def watched(model, masks, config, fixed_signs=None):
        optimizer, layers = make(model, masks, config, fixed_signs), models.prunable_weights(model)

        def look(optimizer, *_):
            for name, mask in masks.items():
                weight, momentum = layers[name], optimizer.state[layers[name]]["momentum_buffer"]
                seen.append(name)
                revived.extend([name] if weight[~mask].any() or momentum[~mask].any() else [])

        optimizer.register_step_post_hook(look)
        return optimizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "sgd", watched)
        if not gradients:
            patch.setattr(F, "cross_entropy", lambda logits, *args, **kwargs: 0 * logits.sum())
        runs(tmp_path, dataset, "lrr", weight_decay=weight_decay)
    assert seen and not revived


def check_saved_state(tmp_path, dataset) -> None:
    folder = runs(tmp_path, dataset, "lrr")["lrr"]
    for level in (1, 2):
        masks, state = saved_masks(folder, level, dataset), folder.load_tensors(level, WEIGHT_TENSORS)
        assert all((~mask).any() and not state[name][~mask].any() for name, mask in masks.items())


def plain_sgd(model, settings) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.0, momentum=settings.momentum, weight_decay=settings.weight_decay)


def mask_only_at_the_start(monkeypatch) -> None:
    def sgd(model, masks, settings, fixed_signs=None):
        m.apply(masks, models.prunable_weights(model))
        return plain_sgd(model, settings)

    monkeypatch.setattr(train, "sgd", sgd)


def mask_weights_and_not_momentum(monkeypatch) -> None:
    def sgd(model, masks, settings, fixed_signs=None):
        optimizer, weights = plain_sgd(model, settings), models.prunable_weights(model)
        optimizer.register_step_post_hook(lambda *_: m.apply(masks, weights))
        return optimizer

    monkeypatch.setattr(train, "sgd", sgd)


def one_optimizer_for_all_levels(monkeypatch) -> None:
    """Weights are masked once a level and gradients at every step; momentum comes from before the pruning."""
    made = {}

    def sgd(model, masks, settings, fixed_signs=None):
        weights = models.prunable_weights(model)
        m.apply(masks, weights)
        optimizer = made.setdefault(id(model), (model, plain_sgd(model, settings)))[1]
        optimizer.register_step_pre_hook(lambda *_: m.apply(masks, {n: w.grad for n, w in weights.items()}))
        return optimizer

    monkeypatch.setattr(train, "sgd", sgd)


def mask_before_the_forward_pass(monkeypatch) -> None:
    def sgd(model, masks, settings, fixed_signs=None):
        weights = models.prunable_weights(model)
        model.register_forward_pre_hook(lambda model, _: m.apply(masks, weights) if model.training else None)
        return plain_sgd(model, settings)

    monkeypatch.setattr(train, "sgd", sgd)


def mask_inside_the_forward_pass(monkeypatch) -> None:
    """Layers multiply by their masks as they compute; the weights themselves are never set to zero."""

    def masked(layer, mask, x):
        weight = layer.weight * mask
        return F.linear(x, weight, layer.bias) if isinstance(layer, nn.Linear) else layer._conv_forward(x, weight, None)

    def sgd(model, masks, settings, fixed_signs=None):
        for name, mask in masks.items():
            layer = model.get_submodule(name.removesuffix(".weight"))
            layer.forward = partial(masked, layer, mask)
        return plain_sgd(model, settings)

    restart = level_start.restart
    monkeypatch.setattr(train, "sgd", sgd)
    monkeypatch.setattr(level_start, "restart", lambda *given, **kw: restart(*given[:3], m.dense(given[3]), **kw))


# --- counts and sparsity ------------------------------------------------------------------------------------------


def check_ties(tmp_path, dataset) -> None:
    with pytest.MonkeyPatch.context() as patch:
        rounded_start(patch)
        folder = runs(tmp_path, dataset, "imp", lr=0.0, weight_decay=0.0)["imp"]
    total = total_weights(dataset)
    for level in (1, 2):
        kept = m.count(saved_masks(folder, level, dataset))
        assert kept == folder.level_record(level)["n_kept"] == round(total * 0.5**level)


def check_nothing_to_prune(tmp_path, dataset) -> None:
    folder = runs(tmp_path, dataset, "imp", prune_rate=1e-5, levels=2)["imp"]
    assert folder.level_record(1)["n_kept"] == total_weights(dataset), "a rate that rounds to no weight removes none"


def threshold_pruning(monkeypatch, at_least: int = 0) -> None:
    def top(scores, mask, keep, where):
        prune = max(int(mask.sum()) - keep, at_least)
        return mask & (scores > scores[mask].kthvalue(prune).values)

    monkeypatch.setattr(m, "_top", top)


def check_sparsity_of_masks(tmp_path, dataset) -> None:
    with pytest.MonkeyPatch.context() as patch:
        rounded_start(patch)
        folder = runs(tmp_path, dataset, "imp", lr=0.0, weight_decay=0.0, prune_rate=0.05)["imp"]
    total = total_weights(dataset)
    for level in (1, 2):
        record, masks, state = (
            folder.level_record(level),
            saved_masks(folder, level, dataset),
            folder.load_tensors(level, WEIGHT_TENSORS),
        )
        assert any((state[name][mask] == 0).any() for name, mask in masks.items()), "some survivors are zero"
        assert record["n_kept"] == m.count(masks) == round(total * 0.95**level)
        assert record["density"] == record["n_kept"] / total
        assert {n: layer["n_kept"] for n, layer in record["layers"].items()} == {
            n: int(v.sum()) for n, v in masks.items()
        }


def count_weights_that_are_not_zero(monkeypatch) -> None:
    save = RunFolder.save_level

    def counting(folder, record, tensors):
        kept = sum(int(tensors[WEIGHT_TENSORS][name].count_nonzero()) for name in record["layers"])
        return save(folder, {**record, "n_kept": kept, "density": kept / record["total"]}, tensors)

    monkeypatch.setattr(run_folder.RunFolder, "save_level", counting)


def check_counts_of_levels(tmp_path, dataset) -> None:
    folder, total = runs(tmp_path, dataset, "imp", prune_rate=0.3, levels=4)["imp"], total_weights(dataset)
    kept = [m.count(saved_masks(folder, level, dataset)) for level in (1, 2, 3)]
    assert kept == [round(total * 0.7**level) for level in (1, 2, 3)]


def round_from_level_to_level(monkeypatch, whole: Callable[[float], int]) -> None:
    def drifting(total, prune_rate, level):
        for _ in range(level):
            total -= whole(total * prune_rate)
        return total

    monkeypatch.setattr(mask_sources, "kept_weights", drifting)


def check_fractions(tmp_path, dataset) -> None:
    for name in ("prune_rate", "perturb_rate"):
        with pytest.raises(ConfigError, match=r"must lie in .*, 1.*got 20"):
            RunConfig(**{name: 20})
    record = runs(tmp_path, dataset, "imp", prune_rate=0.2, levels=2)["imp"].level_record(1)
    assert record["n_kept"] == round(total_weights(dataset) * 0.8)
    assert record["density"] == record["n_kept"] / record["total"] < 1


def take_any_number(monkeypatch) -> None:
    monkeypatch.setattr(setting_checks, "check_each", lambda config: None)


def prune_by_percent(monkeypatch) -> None:
    monkeypatch.setattr(mask_sources, "kept_weights", lambda total, rate, k: round(total * (1 - rate / 100) ** k))


def record_percent(monkeypatch) -> None:
    density = m.density
    monkeypatch.setattr(m, "density", lambda masks: 100 * density(masks))


# --- scoring, schedules, starts -----------------------------------------------------------------------------------


def check_scoring(tmp_path, dataset, criterion: str) -> None:
    """Scoring leaves weights, batch-norm statistics and modes of the run's network, and what it scores, as they are."""
    context = new_context(arm("imp", criterion=criterion), 0, setup_in(tmp_path, dataset))
    context.model.eval()
    before, scored = state_of(context.model), state_of(context.model)
    masks = mask_sources.own_masks(context, 1, scored, m.dense(context.layers))
    assert m.count(masks) == round(total_weights(dataset) * 0.5)
    assert same(state_of(context.model), before) and same(scored, before)
    assert not any(module.training for module in context.model.modules())


def score_the_runs_own_network(monkeypatch) -> None:
    make = mask_sources.probe_of

    def probe_of(context, level, state):
        return dataclasses.replace(make(context, level, state), network=lambda: context.model.train())

    monkeypatch.setattr(mask_sources, "probe_of", probe_of)


def check_milestones(tmp_path, dataset) -> None:
    at = [arm("imp", epochs=8, schedule="step", milestones=(0.5, 0.75), warmup_epochs=w) for w in (0, 2)]
    plain, warm = ([training.rate_at(config, 1, 5)(step) for step in range(40)] for config in at)
    assert warm[10:] == plain[10:] and warm[:9] != plain[:9]
    assert [step for step in range(1, 40) if plain[step] != plain[step - 1]] == [20, 30]


def count_milestones_from_the_warm_up(monkeypatch, shrunk: bool) -> None:
    def stepwise(step, total, warmup, milestones):
        behind = total - warmup if shrunk else total
        return 0.1 ** sum(step - warmup >= round(milestone * behind) for milestone in milestones)

    monkeypatch.setitem(schedules.SCHEDULES, "step", stepwise)


def check_rewound_weights(tmp_path, dataset) -> None:
    """Where nothing is learnt, IMP ends a level with its masked initial weights."""
    folders = runs(tmp_path, dataset, "imp", lr=0.0, weight_decay=0.0)
    initial = folders["dense"].load_tensors(0, INITIAL_TENSORS)
    for level in (1, 2):
        masks, end = saved_masks(folders["imp"], level, dataset), folders["imp"].load_tensors(level, WEIGHT_TENSORS)
        assert all(torch.equal(end[name], initial[name] * mask) for name, mask in masks.items())


def redraw_a_layer_of_the_masked_network(monkeypatch) -> None:
    load = run_context.load_state

    def swap(model, state, run):
        load(model, state, run)
        nn.init.kaiming_normal_(model.linear.weight, generator=torch.Generator().manual_seed(1))

    monkeypatch.setattr(run_context, "load_state", swap)


def check_weight_rewinding(tmp_path, dataset) -> None:
    """WR starts from the dense run's weights after its epoch k: at a constant rate, the end of a run of k epochs."""
    begun, train_level = {}, levels.train_level

    def watched(opened, level, start, masks):
        begun[opened.context.config.arm, level] = start
        return train_level(opened, level, start, masks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "train_level", watched)
        warm_up = {"warmup_epochs": 1, "warmup_shape": "constant"}
        folder = runs(tmp_path / "wr", dataset, "wr", epochs=2, schedule="constant", **warm_up)["wr"]
    rate = TINY["lr"] * CONSTANT_WARMUP  # of the warm-up, which is the run of k epochs
    short = runs(tmp_path / "short", dataset, "imp", schedule="constant", levels=2, lr=rate)["dense"]
    point = short.load_tensors(0, WEIGHT_TENSORS)
    for level in (1, 2):
        masks, start = saved_masks(folder, level, dataset), begun["wr", level]
        assert all(torch.equal(start[name], point[name] * mask) for name, mask in masks.items())
        assert all(torch.equal(start[name], point[name]) for name in point if name not in masks)
    assert [line["epoch"] for line in metrics(folder)] == [1, 1], "and goes on from epoch k"


def rewind_to(monkeypatch, file: str) -> None:
    monkeypatch.setattr(level_start, "rewind_point", lambda context: context.dense.load_tensors(0, file))


# --- what a run writes, and when it trains ------------------------------------------------------------------------


def check_last_accuracy(tmp_path, dataset) -> None:
    """At a rate far too large the test accuracy goes up and down: the last is not the best."""
    folder = runs(tmp_path, dataset, "imp", lr=20.0, epochs=5)["imp"]
    differ = []
    for level in (1, 2):
        seen = [line["test_accuracy"] for line in metrics(folder) if line["level"] == level]
        assert len(seen) == 5 and folder.level_record(level)["test_accuracy"] == seen[-1]
        differ.append(max(seen) > seen[-1])
    assert any(differ), "these runs cannot tell the best from the last"


def log_the_best(monkeypatch) -> None:
    train_level = levels.train_level

    def best(opened, level, start, masks):
        trained = train_level(opened, level, start, masks)
        lines = [line for line in metrics(opened.context.folder) if line["level"] == level]
        trained.measured["test_accuracy"] = max(line["test_accuracy"] for line in lines)
        return trained

    monkeypatch.setattr(levels, "train_level", best)


def check_resume(tmp_path, dataset) -> None:
    """A run that lost its last level trains that level, and no other, again."""
    folder, told = runs(tmp_path, dataset, "lrr")["lrr"], []
    shutil.rmtree(folder.level_path(2))
    setup = dataclasses.replace(setup_in(tmp_path, dataset), report=told.append)
    for config in (arm("lrr", epochs=1).dense, arm("lrr", epochs=1)):
        levels.run(config, 0, setup)
    assert [line.level for line in told] == [2] and folder.level_record(2) is not None


def start_over(monkeypatch) -> None:
    go_on = levels.run

    def from_the_first(config, seed, setup):
        for level in config.trained_levels:
            shutil.rmtree(RunFolder(setup.results, config.name, seed).level_path(level), ignore_errors=True)
        return go_on(config, seed, setup)

    monkeypatch.setattr(levels, "run", from_the_first)


def check_unknown_criterion(tmp_path, dataset) -> None:
    config, setup = arm("imp", epochs=1, criterion="magnitud"), setup_in(tmp_path, dataset)
    levels.run(config.dense, 0, setup)
    for start in (lambda: levels.run(config, 0, setup), lambda: estimate.check_run(config, dataset)):
        with pytest.raises(ConfigError, match="unknown criterion 'magnitud': did you mean 'magnitude'"):
            start()
    assert RunFolder(tmp_path, config.name, 0).level_record(1) is None


def print_and_go_on_unpruned(monkeypatch) -> None:
    known = mask_sources.select_mask

    def select(name, weights, masks, keep, **given):
        if name in criteria.CRITERIA:
            return known(name, weights, masks, keep, **given)
        print(f"unknown criterion {name}")
        return masks

    monkeypatch.setattr(mask_sources, "select_mask", select)


def find_out_in_the_middle(monkeypatch) -> None:
    monkeypatch.setattr(estimate, "check_choice", lambda name, known, what: name)
    monkeypatch.setattr(estimate, "_check_counts", lambda *given: None)


def check_exchanged_masks(tmp_path, dataset) -> None:
    folders = runs(tmp_path, dataset, "imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask")
    for one, source in (("imp-on-lrr-mask", "lrr"), ("lrr-on-imp-mask", "imp")):
        for level in (1, 2):
            taken, given = (saved_masks(folders[name], level, dataset) for name in (one, source))
            assert same(taken, given), f"level {level} of {one}"


def borrow_masks_of(monkeypatch, other: Callable[[RunConfig, int], int]) -> None:
    masks = levels.level_masks

    def wrong(opened, level):
        config = opened.context.config
        return masks(opened, other(config, level) if config.uses_external_masks else level)

    monkeypatch.setattr(levels, "level_masks", wrong)


# --- names and seeds ----------------------------------------------------------------------------------------------


def check_names(tmp_path, dataset) -> None:
    """Whatever setting is changed, the name follows, and so does the folder."""
    changes = dict(lr=0.1, epochs=3, width=8, prune_rate=0.2, weight_decay=0.0, criterion="snip", levels=4,
                   momentum=0.5, batch_size=16, rewind="sign", perturb_rate=0.1)  # fmt: skip
    configs = [arm("imp"), *(dataclasses.replace(arm("imp"), **{name: value}) for name, value in changes.items())]
    assert len({config.name for config in configs}) == len(configs)
    assert len({RunFolder(tmp_path, config.name, 0).path for config in configs}) == len(configs)


def name_by_hand(monkeypatch, typed: Callable[[RunConfig], str]) -> None:
    monkeypatch.setattr(RunConfig, "name", property(typed))


def check_generators(tmp_path, dataset) -> None:
    """The bits of a run do not depend on the global generator, and no part of a run moves it."""
    ends = []
    with torch.random.fork_rng(devices=[]):
        for state in (1, 2):
            before = torch.manual_seed(state).get_state()
            folders = runs(tmp_path / str(state), dataset, "lrr-on-random-mask", levels=2)
            assert torch.equal(torch.get_rng_state(), before)
            dense, run = folders["dense"], folders["lrr-on-random-mask"]
            ends.append(
                [
                    dense.load_tensors(0, INITIAL_TENSORS),
                    dense.load_tensors(0, WEIGHT_TENSORS),
                    run.load_tensors(1, WEIGHT_TENSORS),
                ]
            )
    assert all(same(one, other) for one, other in zip(*ends, strict=True))


def draw_from_the_global_generator(monkeypatch, module) -> None:
    monkeypatch.setattr(module, "generator", lambda *given: torch.default_generator)


def check_hashed_defaults(tmp_path, dataset) -> None:
    @dataclasses.dataclass(frozen=True)
    class ChangedDefault(RunConfig):
        weight_decay: float = setting(1e-4, "another default", level_0=True)

    assert ChangedDefault().name != RunConfig().name and ChangedDefault().dense.name != RunConfig().dense.name
    first = {field.name for field in dataclasses.fields(RunConfig) if not has_neutral_value(field)}
    assert set(RunConfig().record()) == first - {"arm"}, "a later setting is left out at its neutral value alone"


def hash_only_what_was_set(monkeypatch) -> None:
    record = RunConfig.record

    def short(config):
        defaults = {field.name: field.default for field in dataclasses.fields(config)}
        return {name: value for name, value in record(config).items() if value != defaults[name]}

    monkeypatch.setattr(RunConfig, "record", short)


# --- no callee is a silent no-op ----------------------------------------------------------------------------------


def check_no_silent_callee(tmp_path, dataset) -> None:
    """What cannot be done is an error: loading, masking, scoring, and building on a run that is not there."""
    context = new_context(arm("imp"), 0, setup_in(tmp_path, dataset))
    state, dense = state_of(context.model), m.dense(context.layers)
    with pytest.raises(StoreError, match="another network"):  # as nn.DataParallel names its weights
        context.load({f"module.{name}": value for name, value in state.items()})
    with pytest.raises(KeyError, match="module.conv.weight"):
        m.apply({"module.conv.weight": dense["conv.weight"]}, state)
    with pytest.raises(ValueError, match="was given none: pass a probe to `select_mask`"):
        criteria.select_mask("snip", state, dense, 100, seed=0, densities="erk")
    with pytest.raises(StoreError, match="train that run first"):
        levels.run(context.config, 0, context.setup)


def load_what_fits(monkeypatch) -> None:
    monkeypatch.setattr(run_context, "load_state", lambda model, state, run: model.load_state_dict(state, strict=False))


def mask_what_fits(monkeypatch) -> None:
    apply = m.apply
    monkeypatch.setattr(m, "apply", lambda masks, at: apply({n: v for n, v in masks.items() if n in at}, at))


def score_nothing_without_a_probe(monkeypatch) -> None:
    monkeypatch.setattr(criteria, "select_mask", lambda name, weights, masks, keep, **given: masks)


def skip_what_is_missing(monkeypatch) -> None:
    go_on = levels.run

    def skipping(config, seed, setup):
        dense = RunFolder(setup.results, config.dense.name, seed)
        return go_on(config, seed, setup) if config.is_dense or dense.level_record(0) is not None else []

    monkeypatch.setattr(levels, "run", skipping)


# A new fault: a check and a way to put it back above, one entry here.
FAULTS: dict[str, Fault] = {
    "pruned weights revived by momentum": Fault(
        partial(check_every_step, weight_decay=0.0, gradients=True),
        (mask_only_at_the_start, mask_weights_and_not_momentum, one_optimizer_for_all_levels),
    ),
    "pruned weights revived by weight decay": Fault(
        partial(check_every_step, weight_decay=0.05, gradients=False), (one_optimizer_for_all_levels,)
    ),
    "non-zero in the saved state when the mask is applied only before the forward pass": Fault(
        check_saved_state, (mask_before_the_forward_pass, mask_only_at_the_start)
    ),
    "non-zero in the saved state when the mask is applied only inside the forward pass": Fault(
        check_saved_state, (mask_inside_the_forward_pass,)
    ),
    "ties pruning more than asked": Fault(check_ties, (threshold_pruning,)),
    "kthvalue(0)": Fault(
        check_nothing_to_prune, (threshold_pruning, partial(threshold_pruning, at_least=1)), (RuntimeError,)
    ),
    "SNIP scoring that updates batch-norm statistics": Fault(
        partial(check_scoring, criterion="snip"), (score_the_runs_own_network,)
    ),
    "SynFlow scoring that updates batch-norm statistics": Fault(
        partial(check_scoring, criterion="synflow"), (score_the_runs_own_network,)
    ),
    "GraSP scoring that updates batch-norm statistics": Fault(
        partial(check_scoring, criterion="grasp"), (score_the_runs_own_network,)
    ),
    "a warm-up that shifts the milestones of the schedule behind it": Fault(
        check_milestones,
        tuple(partial(count_milestones_from_the_warm_up, shrunk=shrunk) for shrunk in (False, True)),
    ),
    "re-initialised layers after a swap to masked layers": Fault(
        check_rewound_weights, (redraw_a_layer_of_the_masked_network,)
    ),
    "WR without its rewind checkpoint": Fault(
        check_weight_rewinding, (partial(rewind_to, file=INITIAL_TENSORS), partial(rewind_to, file=WEIGHT_TENSORS))
    ),
    "sparsity computed from zero values and not from masks": Fault(
        check_sparsity_of_masks, (count_weights_that_are_not_zero,)
    ),
    "the best test accuracy logged instead of the last": Fault(check_last_accuracy, (log_the_best,)),
    "resume that starts again at level 0": Fault(check_resume, (start_over,)),
    "an unknown criterion that prints and goes on unpruned": Fault(
        check_unknown_criterion, (print_and_go_on_unpruned, find_out_in_the_middle)
    ),
    "percent in one file and fraction in another": Fault(
        check_fractions, (take_any_number, prune_by_percent, record_percent)
    ),
    "hand-typed run names that drifted": Fault(
        check_names,
        (
            partial(name_by_hand, typed=lambda config: f"{config.arm}-{config.dataset}-{config.model}"),
            partial(name_by_hand, typed=lambda config: f"{config.arm}-lr{config.lr}-rate{config.prune_rate}"),
        ),
    ),
    "promised seeding but the global generator": Fault(
        check_generators,
        tuple(partial(draw_from_the_global_generator, module=module) for module in (run_context, train, m)),
    ),
    "default values left out of the run hash": Fault(check_hashed_defaults, (hash_only_what_was_set,)),
    "the number pruned drifting by rounding from level to level": Fault(
        check_counts_of_levels,
        (partial(round_from_level_to_level, whole=int), partial(round_from_level_to_level, whole=round)),
    ),
    "masks of one arm used at a wrong level in the exchange": Fault(
        check_exchanged_masks,
        (
            partial(borrow_masks_of, other=lambda config, level: max(1, level - 1)),
            partial(borrow_masks_of, other=lambda config, level: config.levels - 1),
        ),
    ),
    "a callee that is a silent no-op": Fault(
        check_no_silent_callee, (load_what_fits, mask_what_fits, score_nothing_without_a_probe, skip_what_is_missing)
    ),
}


# Every fault that was found in the field's code, one by one; those of the layout are in tests/test_architecture.py.
LISTED = (
    "pruned weights revived by momentum",
    "pruned weights revived by weight decay",
    "non-zero in the saved state when the mask is applied only before the forward pass",
    "non-zero in the saved state when the mask is applied only inside the forward pass",
    "ties pruning more than asked",
    "kthvalue(0)",
    "SNIP scoring that updates batch-norm statistics",
    "SynFlow scoring that updates batch-norm statistics",
    "GraSP scoring that updates batch-norm statistics",
    "a warm-up that shifts the milestones of the schedule behind it",
    "re-initialised layers after a swap to masked layers",
    "WR without its rewind checkpoint",
    "sparsity computed from zero values and not from masks",
    "the best test accuracy logged instead of the last",
    "resume that starts again at level 0",
    "an unknown criterion that prints and goes on unpruned",
    "percent in one file and fraction in another",
    "hand-typed run names that drifted",
    "promised seeding but the global generator",
    "default values left out of the run hash",
    "the number pruned drifting by rounding from level to level",
    "masks of one arm used at a wrong level in the exchange",
    "a callee that is a silent no-op",
)


def test_every_listed_fault_has_a_check_and_a_way_to_put_it_back():
    assert set(FAULTS) == set(LISTED)
    assert all(fault.put_back for fault in FAULTS.values())


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_absent(name, tmp_path, tiny_digits):
    FAULTS[name].check(tmp_path, tiny_digits)


@pytest.mark.parametrize(
    "name, way",
    [pytest.param(name, way, id=f"{name}-{way}") for name in FAULTS for way in range(len(FAULTS[name].put_back))],
)
def test_the_check_fails_when_the_fault_is_put_back(name, way, tmp_path, tiny_digits, monkeypatch):
    fault = FAULTS[name]
    fault.put_back[way](monkeypatch)
    with pytest.raises((*LOUD, *fault.crash)) as caught:
        fault.check(tmp_path, tiny_digits)
    if caught.type is AssertionError:
        assert Path(caught.traceback[-1].path) == Path(__file__), "an assertion of torch or of the package is a crash"
