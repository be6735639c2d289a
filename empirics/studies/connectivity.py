"""Connectivity: barriers of the test error and shared signs between the networks of IMP and LRR.

It is measured over finished runs, `results/connectivity/<study>.json`, so that no run depends on it. A pair of networks
is measured again only if the content of one of them has changed. Pairs that cannot be measured yet are listed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empirics import provenance
from empirics.config import SCHEMA, ConfigError, RunConfig, RunOptions, config_hash, config_of
from empirics.execution.processes import TaskEvent, run_tasks
from empirics.execution.workers import DataSource, NetworkWork
from empirics.runs.context import RunSetup, State, initial_network, load_state
from empirics.runs.resume import Interrupted
from empirics.storage import environments, schemas
from empirics.storage.files import StoreError, json_bytes, read_limited, read_record, with_checksum, write_atomic
from empirics.storage.layout import CONFIG_FILE, refuse_wrong
from empirics.storage.locks import HOURS, locked
from empirics.storage.run_folder import WEIGHT_TENSORS, RunFolder
from empirics.studies.interpolation import ALPHAS, barrier, error_curves, sign_similarity, union_density
from empirics.studies.overlaps import Bits, level_bits, shared_signs, shared_weights
from empirics.studies.plan import Study, data_source, device_of, worker_count
from empirics.studies.records import connectivity_file, study_file
from empirics.train import to_device

CONNECTED_ARMS = ("imp", "lrr")
BETWEEN = ("rules", "levels", "seeds")  # IMP and LRR of a seed; consecutive levels of an arm; two seeds of an arm
Place = tuple[str, int, int]
_NO_ORIGIN = {"environments": [], "provenance": None}


@dataclass(frozen=True)
class End:
    """A trained network: the end of a level of an arm.

    Args:
        arm: `imp`, `lrr`, or `dense` for level 0, which both start from.
        run, seed, level: where it is stored.
        content: hash of the level's content (`environments.content`); None if it cannot be used.
        why: `missing` or `diverged` if it cannot be used.
    """

    arm: str
    run: str
    seed: int
    level: int
    content: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Pair:
    """Two networks to be compared; `between` is one of `BETWEEN`."""

    between: str
    ends: tuple[End, End]

    @property
    def label(self) -> dict[str, Any]:
        """What identifies it in the record: `between`, and `arms`, `seeds` and `levels` of the two ends."""
        return {"between": self.between} | {
            f"{name}s": [getattr(end, name) for end in self.ends] for name in ("arm", "seed", "level")
        }

    @property
    def contents(self) -> list[str | None]:
        """The contents of the two ends."""
        return [end.content for end in self.ends]


@dataclass(frozen=True)
class Series:
    """The pairs of one kind, arm and seed (or two seeds) over the levels: the work of one worker.

    `config` is that of a run of these networks.
    """

    config: RunConfig
    pairs: tuple[Pair, ...]
    needs: tuple = ()

    @property
    def key(self) -> str:
        """Its first pair in words, which no other series has."""
        return json.dumps(self.pairs[0].label)


def measure(
    results: Path | str,
    study: str,
    *,
    data_dir: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[int, int]:
    """Measure what is missing of a study's connectivity, `results/connectivity/<study>.json`.

    Every measured pair is saved at once. The result does not depend on the number of workers. Call it under
    `if __name__ == "__main__":`, since worker processes import the script.

    Args:
        results: results folder.
        study: name of the study, whose record is `results/studies/<study>.json`.
        data_dir: folder of its data set; None: `data`, or no folder for data that need none.
        device, threads: as for training; another number of threads may change the last bits.
        workers: number of parallel processes; None: as for training.
        say: called with every message.

    Returns:
        The number of series of pairs that failed (each is named by `say`), and the number of pairs that were measured.

    Raises:
        ConfigError: there is no such study, or the data set is not the one that its networks were trained on.
        DataError: the data set is not there.
        StoreError: a result cannot be read or written.
    """
    results = Path(results)
    refuse_wrong(results, "connectivity", f"{study}.json")
    if is_measured(results, record := _study(results, study)):  # no lock, as the folder may be read-only
        return 0, 0
    options = Study(results=results, device=device, workers=workers, threads=threads, data_dir=data_dir)
    waits = f"another command is measuring the connectivity of {study}: waiting for it"
    with locked(connectivity_file(results, study), HOURS, lambda: say(waits)):
        return _measure_missing(record, options, say)


def is_measured(results: Path, study: Mapping[str, Any]) -> bool:
    """Whether every pair of a study that can be measured has been, and the record lists the others.

    A study without `imp` and `lrr`, or without a pair, has nothing to measure.
    """
    pairs = wanted_pairs(results, study)
    before = _standing(results, study["study"])
    rows = _kept(pairs, before)
    left_out = [_left_out(pair) for pair in pairs if None in pair.contents]
    if not any(None not in pair.contents for pair in pairs) and before is None:
        return True
    right = before is not None and before["left_out"] == left_out and len(before["pairs"]) == len(rows)
    return right and len(rows) + len(left_out) == len(pairs)


def unmeasured(results: Path, study: Mapping[str, Any]) -> int:
    """The number of pairs still to measure once every level of a study is trained."""
    pairs = wanted_pairs(results, study)
    return len(pairs) - len(_kept(pairs, _standing(results, study["study"])))


def _study(results: Path, study: str) -> dict[str, Any]:
    """The record of a study.

    Raises:
        ConfigError: it does not exist, or is damaged.
    """
    record = read_record(study_file(results, study), schemas.Study)
    if record is None or record["study"] != study:
        raise ConfigError(f"studies/{study}.json in the results is missing or damaged: run `train` with its options")
    return record


def wanted_pairs(results: Path, study: Mapping[str, Any]) -> list[Pair]:
    """Every pair of a study, measurable or not, in the order of the record.

    Args:
        results: results folder.
        study: its record: `arms` (arm -> run), `seeds`, `dense_run`, and the number of `levels`, level 0 included.
    """
    arms = {arm: study["arms"][arm] for arm in CONNECTED_ARMS if arm in study["arms"]}
    runs = arms | {"dense": study["dense_run"]}
    found = {}

    def end(place: Place) -> End:
        if place not in found:
            arm, seed, level = place
            record = RunFolder(results, runs[arm], seed).level_record(level)
            usable = record is not None and record["status"] == "complete"
            content = environments.content(record) if usable else None
            found[place] = End(arm, runs[arm], seed, level, content, "" if usable else _why(record))
        return found[place]

    places = pair_places(tuple(arms), sorted(set(study["seeds"])), study["levels"])
    return [Pair(between, (end(one), end(other))) for between, one, other in places]


def _why(record: Mapping[str, Any] | None) -> str:
    return "missing" if record is None else "diverged"


def pair_places(arms: Sequence[str], seeds: Sequence[int], levels: int) -> Iterator[tuple[str, Place, Place]]:
    """The pairs of a study as (one of `BETWEEN`, place, place).

    A place is (arm, seed, level), with the arm `dense` at level 0.

    Args:
        arms: those of `CONNECTED_ARMS` that the study has.
        seeds: sorted; the first is paired with the second, the third with the fourth and so on, an odd last one with
            none, so that no network is in two pairs of seeds.
        levels: number of levels, level 0 included.
    """
    if set(CONNECTED_ARMS) <= set(arms):
        for seed in seeds:
            yield from (("rules", ("imp", seed, level), ("lrr", seed, level)) for level in range(1, levels))
    for arm in arms:
        for seed in seeds:
            chain = [("dense", seed, 0), *((arm, seed, level) for level in range(1, levels))]
            yield from (("levels", *pair) for pair in zip(chain, chain[1:], strict=False))
    for arm in ("dense", *arms) if arms else ():
        for one, other in zip(seeds[::2], seeds[1::2], strict=False):
            numbers = range(1) if arm == "dense" else range(1, levels)
            yield from (("seeds", (arm, one, level), (arm, other, level)) for level in numbers)


def _standing(results: Path, study: str) -> dict[str, Any] | None:
    """The record on the disk, if its points are the present `ALPHAS`."""
    record = read_record(connectivity_file(results, study), schemas.Connectivity)
    return record if record is not None and record["alphas"] == list(ALPHAS) else None


def _kept(pairs: Sequence[Pair], before: Mapping[str, Any] | None) -> dict[Pair, dict[str, Any]]:
    """The rows of a record that still hold, by pair: those whose ends have the content that was measured."""
    rows = {_name(row): row for row in (before["pairs"] if before else ())}
    found = {pair: rows.get(_name(pair.label)) for pair in pairs if None not in pair.contents}
    return {pair: row for pair, row in found.items() if row is not None and row.get("contents") == pair.contents}


def _name(label: Mapping[str, Any]) -> str:
    return json.dumps([label.get(name) for name in ("between", "arms", "seeds", "levels")])


def _left_out(pair: Pair) -> dict[str, Any]:
    """A pair that cannot be measured, and why."""
    return pair.label | {"reasons": [end.why or None for end in pair.ends]}


def _measure_missing(study: Mapping[str, Any], options: Study, say: Callable[[str], None]) -> tuple[int, int]:
    """Measure the pairs of a study that have no row, and write each as it is finished; as `measure`."""
    before = _standing(options.results, study["study"])
    pairs = wanted_pairs(options.results, study)
    rows = _kept(pairs, before)
    origin = {name: before[name] for name in ("environments", "provenance")} if rows else dict(_NO_ORIGIN)
    todo = [pair for pair in pairs if None not in pair.contents and pair not in rows]
    by_name = {_name(pair.label): pair for pair in todo}

    def write() -> None:
        record = with_checksum(_record(study, pairs, rows, origin))
        write_atomic(connectivity_file(options.results, study["study"]), json_bytes(record))

    def on_event(event: TaskEvent) -> None:
        if event.kind == "report":
            rows[by_name[_name(event.report)]] = event.report
            write()
        elif event.kind in ("failed", "died", "remark") and event.message:
            say(f"connectivity of {study['study']}: {event.message}")

    if not todo:  # only the list of what is left out has changed
        write()
        return 0, 0
    say(f"connectivity of {study['study']}: {len(todo)} pairs of networks to measure")
    origin["provenance"] = made = _provenance(options, device_of(options.device, _data(todo, options)[1]))
    origin["environments"] = environments.joined(origin["environments"], [environments.conditions(made)])
    done = len(rows)
    failures = _run(todo, options, on_event)
    return len(failures), len(rows) - done


def _run(todo: Sequence[Pair], options: Study, on_event: Callable[[TaskEvent], None]) -> list[TaskEvent]:
    """Measure some pairs in parallel processes; returns the events of series that failed."""
    config, source = _data(todo, options)
    device = device_of(options.device, source)
    work = NetworkWork(source, options.results, device, RunOptions(threads=options.threads), measure_series)
    workers = worker_count(options, source)
    return run_tasks(_series(todo, config), work, workers, on_event, cost=lambda series: len(series.pairs))


def _record(
    study: Mapping[str, Any],
    pairs: Sequence[Pair],
    rows: Mapping[Pair, Mapping[str, Any]],
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of the result file; rows are in the order of the pairs, however they were measured.

    `origin` holds its `environments`, those of all processes that measured, and the `provenance` of the last one.
    """
    arms = {arm: run for arm, run in study["arms"].items() if arm in CONNECTED_ARMS}
    return {
        "schema": SCHEMA,
        "kind": "connectivity",
        "study": study["study"],
        "of_arms": arms,
        "dense_run": study["dense_run"],
        "of_seeds": study["seeds"],
        "levels": study["levels"],
        "alphas": list(ALPHAS),
        "pairs": [rows[pair] for pair in pairs if pair in rows],
        "left_out": [_left_out(pair) for pair in pairs if None in pair.contents],
        **origin,
    }


def _series(pairs: Sequence[Pair], config: RunConfig) -> list[Series]:
    """The pairs by kind, arm and seeds."""
    found: dict[tuple, list[Pair]] = {}
    for pair in pairs:
        found.setdefault((pair.between, pair.ends[1].arm, *(end.seed for end in pair.ends)), []).append(pair)
    return [Series(config, tuple(group)) for group in found.values()]


def _config(results: Path, runs: Mapping[str, str]) -> RunConfig:
    """The recorded settings of one of these runs, whose networks are all alike; arm -> run.

    Raises:
        ConfigError: none of them has settings that this version knows.
    """
    for arm in (*CONNECTED_ARMS, "dense"):
        try:
            record = json.loads(read_limited(results / "runs" / runs[arm] / CONFIG_FILE))
            config = config_of(record["config"], record["arm"])
        except (KeyError, TypeError, AttributeError, ValueError, FileNotFoundError, RecursionError, StoreError):
            continue
        if runs[arm].endswith(f"-{config_hash(config)}"):
            return config
    raise ConfigError(f"config.json of run {next(iter(runs.values()))} is missing or damaged: train that run first")


def _source(options: Study, config: RunConfig) -> DataSource:
    """The data set that a run was trained on.

    Raises:
        ConfigError: the data set of that name has another content.
    """
    from empirics.data.datasets import DATASETS

    label = {} if config.dataset in DATASETS else {"dataset_name": config.dataset}
    needs_folder = config.dataset not in DATASETS or DATASETS[config.dataset].needs_folder
    own = Study(
        results=options.results,
        device=options.device,
        workers=options.workers,
        data_dir=options.data_dir if needs_folder else None,
        **label,
    )
    source = data_source(own, {"dataset": config.dataset, "image_size": config.image_size})
    if source.data_hash != config.data_hash:
        raise ConfigError(
            f"data set {config.dataset} has content {source.data_hash[:12] or 'as published'}, and the networks were "
            f"trained on {config.data_hash[:12] or 'the published one'}: give that data set with --data-dir"
        )
    return source


def _data(todo: Sequence[Pair], options: Study) -> tuple[RunConfig, DataSource]:
    """The settings of a run of these networks, and the data that it was trained on."""
    config = _config(options.results, {end.arm: end.run for pair in todo for end in pair.ends})
    return config, _source(options, config)


def _provenance(options: Study, name: str) -> dict[str, Any]:
    device = provenance.prepare(name, options.threads)
    return provenance.provenance(options.threads, provenance.gpu_facts(device), provenance.instruction_set())


def measure_series(series: Series, setup: RunSetup) -> list[str]:
    """Measure the pairs of a series and report the row of each; it has no warnings to return."""
    config = series.config
    network = initial_network(config, series.pairs[0].ends[0].seed, setup.dataset)
    model = to_device(network, setup.device, config.precision)

    def on_point() -> None:
        if setup.stop():
            raise Interrupted("the measurement was stopped; every pair that it has finished is saved")

    for pair in series.pairs:
        states = [_state(setup.results, end) for end in pair.ends]
        bits = [level_bits(RunFolder(setup.results, end.run, end.seed), end.level) for end in pair.ends]
        for end, state in zip(pair.ends, states, strict=True):
            load_state(model, state, end.run)  # refuses the weights of another network
        on_device = ({name: value.to(setup.device) for name, value in state.items()} for state in states)
        curves = error_curves(model, *on_device, setup.dataset, series.config.precision, on_point)
        total = sum(states[0][layer].numel() for layer in bits[0][0])
        setup.report(pair.label | {"contents": pair.contents} | shared_counts(*bits, total) | _curve_fields(*curves))
    return []


def _state(results: Path, end: End) -> State:
    """The trained weights of an end, which must be those that the pair was planned with.

    Raises:
        StoreError: they are missing, damaged, or have changed.
    """
    folder = RunFolder(results, end.run, end.seed)
    record = folder.level_record(end.level, verify=False)
    if record is None or environments.content(record) != end.content:
        raise StoreError(f"level {end.level} of run {end.run}, seed {end.seed}, has changed meanwhile: try again")
    return folder.load_tensors(end.level, WEIGHT_TENSORS)


def shared_counts(one: tuple[Bits, Bits], other: tuple[Bits, Bits], total: int) -> dict[str, Any]:
    """What two networks share: counts, the density of the union, sign similarity.

    Each network is given as (masks, final signs), packed bits by layer. `total` is the number of prunable weights.
    """
    masks = (one[0], other[0])
    ends = (one[1], other[1])
    kept = tuple(shared_weights(mask, mask) for mask in masks)
    shared = shared_weights(*masks)
    return {
        "n_kept": list(kept),
        "total": total,
        "shared": shared,
        "same_sign": shared_signs(masks, ends),
        "union_density": union_density(kept, shared, total),
        "sign_similarity": sign_similarity(masks, ends),
    }


def _curve_fields(recomputed: Sequence[float], interpolated: Sequence[float]) -> dict[str, Any]:
    return {
        "errors": list(recomputed),
        "barrier": barrier(recomputed),
        "errors_not_recomputed": list(interpolated),
        "barrier_not_recomputed": barrier(interpolated),
    }
