"""What every result file holds: structs that check records, and the texts of `empirics/README.md`.

A struct names the fields that this package needs: a record without one, or with one of another type, counts as damaged.
Its docstring names all fields that are written, and is the text of the README's table. Figures have types of their own
for the fields that they use (`figures.results`), since the packages do not import one another.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from empirics.names import MOST_DIGITS, MOST_LETTERS, MOST_LEVELS, parse_level_id

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]*\Z", max_length=MOST_LETTERS)]
TensorFile = Annotated[str, Meta(pattern=r"^[a-z]+\.safetensors\Z")]
Table = dict[str, Any]


class StudyRuns(Struct):
    """The runs and seeds of a study; their names and numbers become paths."""

    study: str
    arms: dict[Name, Name]
    seeds: list[Annotated[int, Meta(ge=0)]]

    def __post_init__(self) -> None:
        """Refuse a seed that no folder can be named by."""
        if any(seed >= 10**MOST_DIGITS for seed in self.seeds):
            raise ValueError(f"a seed has more than {MOST_DIGITS} digits")


class Study(StudyRuns):
    """One preset on one data set.

    `study`, its name; `preset`, which is `base` with its `overrides`; of a sweep, which one (`swept`) and the
    `shared_overrides` of all its values; `arms` (arm -> run), `seeds`, `levels`, `prune_rate`, `dense_run`, `command`,
    `dataset`, `data_hash`, `model`, `width`, `protocol` (`ours` where a record has none); of the data set its `title`
    and number of `classes`; `smoke`: true for a smoke run, which is never judged; of a study whose n was fixed before
    its data, `planned` (arm -> seeds), and of one on a part of its data set, `train_images` (how many it trains on, how
    many there are). Records without the last five can be read.
    """

    levels: Annotated[int, Meta(ge=1, le=MOST_LEVELS)]
    dense_run: Name


class Overlaps(Struct):
    """Arms held against `imp` and `lrr`.

    `study`, `of_arms` (arm -> run), `of_seeds`; `pairs` of `arms` of a `seed`, by `levels`: weights `n_kept`, `shared`,
    and shared ones of the `same_sign` at the end.
    """

    of_arms: dict[str, Any]
    of_seeds: list[Any]


class Connectivity(Struct):
    """Pairs of trained networks.

    `pairs`: IMP's and LRR's of a seed at each level (`between`: `rules`), consecutive `levels` of either, two `seeds`
    (the first and second, the third and fourth, ...; level 0 is `dense`). For each pair `arms`, `seeds`, `levels` and
    `contents` (hashes of the levels that it was measured from) of the two ends; test `errors` at `alphas` on the line
    between them, with batch norm recomputed by one pass over the training set, and their `barrier`; the same with
    interpolated statistics (`errors_not_recomputed`, `barrier_not_recomputed`); weights `n_kept` of `total`, `shared`,
    shared ones of the `same_sign` at the end, and the shares `union_density`, `sign_similarity`. `left_out`: pairs that
    could not be measured, with `reasons`. Of the study `study`, `of_arms` (arm -> run), `dense_run`, `of_seeds`,
    `levels`; `environments`, `provenance`.
    """

    alphas: list[float]
    pairs: list[Table]
    left_out: list[Any]
    environments: list[Any]
    provenance: Table | None


class Arrays(Struct):
    """The file of arrays of a result of the neuron."""

    file: str
    sha256: str


class TheoryResult(Struct):
    """One experiment of the neuron.

    `experiment`, `params`, `values`, `arrays` (`file`, `sha256`, shapes by `names`), `seconds`, `command`,
    `provenance`.
    """

    arrays: Arrays | None


class Layer(Struct):
    """One layer of a level."""

    n_kept: int


class Level(Struct):
    """One level.

    `run`, `arm`, `seed`, `level`; `status` (`complete`, or `diverged` with `reason` and null numbers), `density`,
    `nominal_density` (which the prune rate asks for: clamped layer densities keep less), `n_kept`, `total`, `epochs`,
    `train_*` (whole training set, evaluation mode), `test_*` and `validation_*` of the last epoch, `seconds`,
    `images_per_s`; `overlap_with_previous_level`, of the `n_kept_previous_level` weights that the level before kept;
    `strike`: the level's last strike (`epoch`, `test_accuracy_before` and `test_accuracy_after` it), or null;
    `mask_snapshots`: masks that pruning would have taken earlier (`epoch`, `n_kept`, `shared` with the one at the end);
    by `layers` `size`, `n_kept`, `flips`, `norm` at the end, `weight_change_norm` over the level; `files`: SHA-256 of
    its neighbours, `metrics_sha256` of its lines in the log, `depends_on`: SHA-256 of the levels that it is made from;
    `environments`: versions, processor, instruction set, threads and code of every process that its bits come from;
    `provenance`.
    """

    run: str
    seed: int
    level: int
    status: Literal["complete", "diverged"]
    files: dict[TensorFile, str]
    layers: dict[str, Layer]
    environments: list[Table]
    depends_on: dict[str, str]
    provenance: Table

    def __post_init__(self) -> None:
        """Refuse names of levels that lead out of the results."""
        if not all(parse_level_id(name) for name in self.depends_on):
            raise ValueError("depends_on names no level")


class Signs(Struct):
    """Sign statistics over the last level's survivors.

    `run`, `arm`, `seed`, `levels`; by `layers` the number of `survivors`, `flips` a level by each reading; `settles_at`
    and `settles_before_last` = weights that [never flipped, flipped last at level 0, 1, ...]; `switches` = weights with
    [0, 1, ...] flips.
    """

    run: str
    seed: int
    layers: Table


class PackedSeed(Struct):
    """In a folder of [records](#records-of-seeds) only: a run and seed without weights.

    `run`, `seed`; the texts of `metrics.jsonl`, every `level.json` and `signs.json` as they were written, in `files`.
    """

    run: str
    seed: int
    files: dict[str, str]


RUN_SETTINGS = "The settings of a run: `run`, its name; `config`: every hashed field; `arm`, `dense_run`, `mask_run`."
METRICS = (
    "A line an epoch, in the order of training: `level`, `cycle`, `epoch` (over all cycles), `lr`, `train_*` (means "
    "over the epoch's batches), `test_*` (null after an epoch that `evaluate_every` leaves out), `validation_*` (null "
    "there and without held-out images), `images_per_s`."
)
CHECKPOINT_FILES = "While a level is being trained: its last two checkpoints, each with its SHA-256 in its name."
TENSOR_FILES = "`weights` (float32 state dict), `masks` and `signs` (one bit a weight), level 0 also `initial`."
FILES: dict[str, type[Struct] | str] = {
    "`results/theory/<experiment>-<hash>.json` (+ `.npz`)": TheoryResult,
    "`results/studies/<study>.json`": Study,
    "`results/overlaps/<study>.json`": Overlaps,
    "`results/connectivity/<study>.json`": Connectivity,
    "`results/runs/<run>/config.json`": RUN_SETTINGS,
    "`.../seed-<s>/metrics.jsonl`": METRICS,
    "`.../seed-<s>/level-<kk>/level.json`": Level,
    "`.../seed-<s>.json.gz`": PackedSeed,
    "`.../seed-<s>/checkpoints/`": CHECKPOINT_FILES,
    "`.../level-<kk>/*.safetensors`": TENSOR_FILES,
    "`.../seed-<s>/signs.json`": Signs,
}
