"""Read result files as typed records: the only module of figures that reads them.

A missing file is not an error here (a study may be half run): claims and figures name the command that makes it. A file
that cannot be trusted becomes a `Problem` that names file, field, value and remedy; nothing in it is used. A file that
cannot be accessed is not missing: it is a `Problem` too, and an error where it is a whole part of the results.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from figures.results.connectivity import Connectivity, parse_connectivity
from figures.results.datasets import PAPER_DATASETS
from figures.results.fields import ClosedFolder, NoFolder, ResultError, parse_json, require
from figures.results.folders import FILE, FOLDER, OTHER, kind, names_in
from figures.results.metrics import INSTEAD, best_accuracies
from figures.results.names import PACKED, experiment_of, level_of, must_be, packed_seed_of, seed_of
from figures.results.network import (
    ArmRun,
    Problem,
    Records,
    SeedRecord,
    SignsRecord,
    Source,
    Study,
    StudyResults,
    TheoryResult,
    connectivity_command,
    parse_level,
    parse_run,
    parse_signs,
    parse_study,
)
from figures.results.neuron import check_values, parse_arrays, parse_theory
from figures.results.packed import levels_in, unpack
from figures.results.variants import EVERY_PROTOCOL, LAST_EPOCH, OURS_PROTOCOL

LARGEST_FILE = 256 * 2**20
OF_CONNECTIVITY = "connectivity"  # the owner of the problems of its records
_AGAIN = "run the command that made it again"
_WORDS = {FILE: "a regular file", FOLDER: "a folder", OTHER: "neither a file nor a folder"}


def load(
    results_dir: Path | str,
    prefer: Mapping[str, str] | None = None,
    protocol: str = OURS_PROTOCOL,
    accuracy: str = LAST_EPOCH,
) -> Records:
    """Read every study, its runs and every theory experiment below `results_dir`.

    Parameters
    ----------
    results_dir : folder that holds `theory/`, `studies/`, `connectivity/` and `runs/`; each may be absent.
    prefer : experiment -> stem of the theory file to take where several parameter sets have been run.
        Without it the one with the most trials or starts is taken; the others are named in `left_out`.
    protocol : whose studies: "ours" or "authors"; `EVERY_PROTOCOL` for all.
    accuracy : "last", or "best": each level's test accuracy is the best of its epochs, from the metrics, which are read
        only then. A study of which that is not known is left out, and is a problem.

    Raises
    ------
    ResultError : `results_dir` is not a folder, or it or a part of it cannot be listed. Files that cannot be trusted
        are listed in `Records.problems` instead.
    """
    root = Path(results_dir)
    check_folder(root)
    theory_files, study_files, *_ = (_part(root, name) for name in ("theory", "studies", "runs", "connectivity"))
    problems: list[Problem] = []
    theory, left_out = _load_theory(theory_files, root, prefer or {}, problems)
    studies = []
    for path in study_files:
        study = _guarded(problems, "studies", path, root, lambda path=path: _load_study(path, root, problems, accuracy))
        studies += [study] if study else []
    once = tuple(dict.fromkeys(problems))  # two studies may share a run
    ordered = sorted(studies, key=_order)
    plain, varied = (tuple(s for s in ordered if bool(s.study.swept) is which) for which in (False, True))
    unlisted = () if any(problem.owner == "studies" for problem in once) else tuple(_unlisted(studies, root))
    every = Records(plain, theory, once, tuple(left_out), varied, unlisted, EVERY_PROTOCOL, accuracy)
    return every if protocol == EVERY_PROTOCOL else every.of_protocol(protocol)


def check_folder(root: Path) -> None:
    """Raise an error for a results folder that does not exist or cannot be accessed.

    Raises
    ------
    NoFolder : it does not exist, or is not a folder.
    ClosedFolder : it cannot be listed, or is a link that leads nowhere.
    """
    try:
        if (found := kind(root)) != FOLDER:
            raise NoFolder(str(root), is_file=found is not None)
        names_in(root)
    except OSError as error:
        raise ClosedFolder(str(root), error.strerror) from None


def _part(root: Path, name: str) -> list[Path]:
    """The .json files in one part of a results folder, as sorted paths; the part may be absent.

    Raises
    ------
    ClosedFolder : it cannot be listed.
    """
    try:
        return [root / name / file for file in names_in(root / name) if file.endswith(".json")]
    except OSError as error:
        raise ClosedFolder(str(root / name), error.strerror) from None


def _order(results: StudyResults) -> tuple:
    """Smoke runs last; within each, the paper's data sets in its order, then the others by name."""
    study = results.study
    papers = list(PAPER_DATASETS)
    place = papers.index(study.dataset) if study.dataset in papers else len(papers)
    return study.smoke, place, study.dataset, study.study


def _guarded(problems: list, owner: str, path: Path, root: Path, read: Callable, **lost):
    """Return what `read` returns, or None if the file cannot be trusted or read.

    Then a `Problem` is added that belongs to `owner`; `lost` are its further fields.
    """
    try:
        return read()
    except ResultError as error:
        problems.append(Problem(owner, error.file, str(error), **lost))
    except OSError as error:
        problems.append(Problem(owner, _relative(path, root), f"{path}: cannot be read ({error.strerror})", **lost))
    return None


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _is_there(path: Path, root: Path) -> bool:
    """Whether something exists at a place in the results; an error if it is of the wrong kind.

    Otherwise, if a file were in the place of a run or a level, that would count as never run.
    """
    found = kind(path)
    name = _relative(path, root)
    expected = must_be(*Path(name).parts)
    do = f"move {name} away and run the command that made it again"
    require(found in (None, expected), name, "what is there", _WORDS.get(found), _WORDS.get(expected, ""), do)
    return found is not None


def _read(path: Path, root: Path) -> tuple[bytes, Source]:
    name = _relative(path, root)
    require(_is_there(path, root), name, "the file", "nothing", "a regular file")
    size = path.stat().st_size
    require(size <= LARGEST_FILE, name, "the file", f"{size} bytes", f"at most {LARGEST_FILE} bytes")
    content = path.read_bytes()
    return content, Source(name, hashlib.sha256(content).hexdigest())


def _read_json(path: Path, root: Path) -> tuple[dict, Source]:
    content, source = _read(path, root)
    return parse_json(content, source.path), source


def _load_theory(paths: list[Path], root: Path, prefer: Mapping[str, str], problems: list) -> tuple[dict, list[str]]:
    candidates: dict[str, list[TheoryResult]] = {}
    for path in paths:
        owner = experiment_of(path.stem)
        result = _guarded(problems, owner, path, root, lambda path=path: _read_theory(path, root))
        if result:
            candidates.setdefault(result.experiment, []).append(result)
    taken = {}
    left_out = []
    for experiment, results in candidates.items():
        results.sort(key=lambda r: (r.name != prefer.get(experiment), -_evidence(r), r.name))
        taken[experiment] = results[0]
        left_out += [r.name for r in results[1:]]
    return taken, left_out


def _evidence(result: TheoryResult) -> float:
    sizes = [result.params.get(key) for key in ("trials", "starts", "samples", "points")]
    return max((s for s in sizes if type(s) in (int, float)), default=0)


def _read_theory(path: Path, root: Path) -> TheoryResult:
    data, source = _read_json(path, root)
    head = parse_theory(data, source.path)
    files = [source]
    arrays = {}
    if head.arrays is not None:
        npz = path.with_suffix(".npz")
        name = _relative(npz, root)
        arrays_of = f"the arrays of {source.path}"
        require(_is_there(npz, root), name, "the file", "nothing", arrays_of, f"run {head.command}")
        content, npz_source = _read(npz, root)
        require(
            npz_source.sha256 == head.arrays.sha256,
            name,
            "sha256",
            npz_source.sha256[:12],
            f"{head.arrays.sha256[:12]}, as {source.path} says",
        )
        arrays = parse_arrays(content, head.arrays.names, name)
        files.append(npz_source)
    check_values(head.experiment, head.values, arrays, source.path)
    return TheoryResult(
        head.experiment,
        head.params,
        head.values,
        arrays,
        head.command,
        head.provenance,
        tuple(files),
        name=path.stem,
        seconds=head.seconds,
    )


def _load_study(path: Path, root: Path, problems: list, accuracy: str) -> StudyResults:
    data, source = _read_json(path, root)
    study = parse_study(data, source.path)
    require(study.study == path.stem, source.path, "study", study.study, f"{path.stem!r}, the file's name")
    runs = {arm: _guarded_run(run, root, problems) for arm, run in study.arms.items()}
    there = {arm: run for arm, run in runs.items() if run}
    dense = _guarded_run(study.dense_run, root, problems)
    own = {arm: run.dense_run for arm, run in there.items() if run.dense_run not in (None, study.dense_run)}
    loaded = {name: _guarded_run(name, root, problems) for name in dict.fromkeys(own.values())}
    for run in filter(None, (dense, *loaded.values(), *there.values())):
        _check_rate(study, run, source.path)
    of_pairs = root / "connectivity" / path.name
    pairs = _guarded(problems, OF_CONNECTIVITY, of_pairs, root, lambda: _read_connectivity(of_pairs, root, study))
    found = StudyResults(study, dense, there, (source,), {arm: loaded[name] for arm, name in own.items()}, pairs)
    return found if accuracy == LAST_EPOCH else _with_best(found, root)


def _read_connectivity(path: Path, root: Path, study: Study) -> Connectivity | None:
    """The connectivity of a study; None where it has not been measured."""
    if not _is_there(path, root):
        return None
    data, source = _read_json(path, root)
    return replace(parse_connectivity(data, source.path, study, connectivity_command(study)), files=(source,))


def _with_best(results: StudyResults, root: Path) -> StudyResults:
    """The study with each level's best test accuracy in place of the last epoch's.

    Raises
    ------
    ResultError : a level of which that is not known.
    """
    arms, own = (
        {arm: _best_of_run(run, root) for arm, run in runs.items()} for runs in (results.arms, results.own_dense)
    )
    return replace(results, dense=_best_of_run(results.dense, root), arms=arms, own_dense=own)


def _best_of_run(run: ArmRun | None, root: Path) -> ArmRun | None:
    if run is None:
        return None
    seeds = dict(run.seeds)
    files = list(run.files)
    within = bool(run.config.get("sculpt_factor"))
    for number, seed in run.seeds.items():
        complete = {k: level for k, level in seed.levels.items() if level.status == "complete"}
        if complete:
            content, source = _metrics(root / "runs" / run.run, number, root)
            best = best_accuracies(content, complete, source.path, last_cycle=within)
            levels = {k: replace(complete[k], test_accuracy=value) for k, value in best.items()}
            seeds[number] = replace(seed, levels={**seed.levels, **levels})
            files.append(source)
    return replace(run, seeds=seeds, files=tuple(files))


def _metrics(folder: Path, seed: int, root: Path) -> tuple[bytes, Source]:
    """The log of a run and seed, and the file that holds it."""
    path = folder / f"seed-{seed}" / "metrics.jsonl"
    packed = folder / f"seed-{seed}{PACKED}"
    if _is_there(packed, root):
        content, source = _read(packed, root)
        return unpack(content, source.path, folder.name, seed).get("metrics.jsonl", b""), source
    require(_is_there(path, root), _relative(path, root), "the file", "nothing", "the metrics of every epoch", INSTEAD)
    return _read(path, root)


def _check_rate(study: Study, run: ArmRun, file: str) -> None:
    """Raise `ResultError` if a study's `prune_rate` does not give the densities of its levels.

    They may differ by the rounding within layers.
    """
    if run.config.get("mask_source") == "dense":  # the control that is never pruned
        return
    for seed, record in run.seeds.items():
        for number, level in record.levels.items():
            nominal = study.density(number)
            got = level.nominal_density
            if level.status == "complete" and abs(got - nominal) > 0.1 * nominal + 1e-3:
                where = f"run {run.run}, seed {seed}, level {number}"
                expected = f"the rate of its levels ({where} has density {got:.4g}, this rate gives {nominal:.4g})"
                raise ResultError(file, "prune_rate", study.prune_rate, expected)


def _guarded_run(run: str, root: Path, problems: list) -> ArmRun | None:
    folder = root / "runs" / run
    return _guarded(problems, run, folder / "config.json", root, lambda: _load_run(folder, root, problems))


def _load_run(folder: Path, root: Path, problems: list) -> ArmRun | None:
    """A run with its seeds.

    None where nothing of it exists, or it has only just begun: it has seeds but no level yet.
    """
    if not _is_there(folder, root):
        return None
    if not _is_there(folder / "config.json", root):
        levels = (path / "level.json" for _, seed in _numbered(folder, seed_of) for _, path in _levels_of(seed, root))
        lost = any(_is_there(path, root) for path in levels)
        require(not lost, _relative(folder / "config.json", root), "the file", "nothing", "there", _AGAIN)
        return None
    data, source = _read_json(folder / "config.json", root)
    head = parse_run(data, source.path, folder.name)
    files = [source]
    seeds = {}
    unreadable = []
    packed = dict(_numbered(folder, packed_seed_of))
    for number, path in sorted((packed | dict(_numbered(folder, seed_of))).items()):
        load_seed = _load_packed if number in packed else _load_seed
        found = load_seed(packed.get(number, path), root, folder.name, number, problems)
        if found is None:
            unreadable.append(number)
        else:
            seeds[number], sources = found
            files += sources
    return ArmRun(head.run, head.arm, head.config, seeds, tuple(files), tuple(unreadable), head.dense_run)


def _unlisted(studies: Sequence[StudyResults], root: Path) -> Iterator[str]:
    """Runs with trained seeds that no study lists.

    These exist for example where one results folder was copied over another. Level 0 is listed by the arms that start
    from it. A run that no study lists and that cannot be accessed is ignored.
    """
    listed: dict[str, set[int]] = {}
    for study in (results.study for results in studies):
        for run in study.arms.values():
            listed.setdefault(run, set()).update(study.seeds)
    for run in (name for name in names_in(root / "runs") if not name.startswith("dense-")):
        try:
            others = (seed for seed in _numbered(root / "runs" / run, seed_of) if seed[0] not in listed.get(run, ()))
            seeds = [number for number, path in others if _is_trained(path, root)]
        except (OSError, ResultError):
            continue
        if seeds:
            yield f"{ascii(run)[1:-1]}, seeds {' '.join(map(str, seeds))}"


def _is_trained(seed: Path, root: Path) -> bool:
    return any(_is_there(path / "level.json", root) for _, path in _levels_of(seed, root))


def _numbered(folder: Path, number_of: Callable[[str], int | None]) -> list[tuple[int, Path]]:
    """The entries of a folder whose names contain a number, as (number, path), sorted by number."""
    found = ((number_of(name), folder / name) for name in names_in(folder))
    return sorted((number, path) for number, path in found if number is not None)


def _load_seed(folder: Path, root: Path, run: str, seed: int, problems: list) -> tuple[SeedRecord, list[Source]] | None:
    """A seed's record and its files; None where a level cannot be trusted.

    If only the sign statistics cannot be trusted, the levels are kept.
    """
    read = _guarded(problems, run, folder, root, lambda: _read_levels(folder, root, run, seed), seed=seed)
    if read is None:
        return None
    levels, sources, path = *read, folder / "signs.json"
    found = _guarded(problems, run, path, root, lambda: _read_signs(path, root, run, seed), seed=seed, signs_only=True)
    signs, source = found or (None, None)
    sources += [source] if source else []
    return SeedRecord(levels, signs), sources


def _load_packed(file: Path, root: Path, run: str, seed: int, problems: list) -> tuple[SeedRecord, list[Source]] | None:
    """As `_load_seed`, of a seed whose records are in one file, which is trusted or not as a whole."""

    def read() -> tuple[SeedRecord, list[Source]]:
        content, source = _read(file, root)
        twice = kind(file.with_name(f"seed-{seed}")) is not None
        require(not twice, source.path, "seed", seed, "there once: its folder is there too", "move one of them away")
        files = unpack(content, source.path, run, seed)
        texts = {name: (parse_json(files[name], where := f"{source.path}, {name}"), where) for name in files
                 if name.endswith(".json")}  # fmt: skip
        levels = {number: parse_level(*texts[name], run, seed, number) for number, name in levels_in(files)}
        signs = parse_signs(*texts["signs.json"], run, seed) if "signs.json" in texts else None
        return SeedRecord(levels, signs), [source]

    return _guarded(problems, run, file, root, read, seed=seed)


def _levels_of(folder: Path, root: Path) -> list[tuple[int, Path]]:
    """The folders of a seed's levels."""
    seed_there = _is_there(folder, root)
    return [level for level in _numbered(folder, level_of) if _is_there(level[1], root)] if seed_there else []


def _read_levels(folder: Path, root: Path, run: str, seed: int) -> tuple[dict, list[Source]]:
    levels = {}
    sources = []
    for number, path in _levels_of(folder, root):
        if _is_there(path / "level.json", root):
            data, source = _read_json(path / "level.json", root)
            levels[number] = parse_level(data, source.path, run, seed, number)
            sources.append(source)
    return levels, sources


def _read_signs(path: Path, root: Path, run: str, seed: int) -> tuple[SignsRecord, Source] | None:
    """Sign statistics; None where the file does not exist."""
    if not _is_there(path, root):
        return None
    data, source = _read_json(path, root)
    return parse_signs(data, source.path, run, seed), source
