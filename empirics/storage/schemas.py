"""What every result file holds: structs by which readers check records, with a line on each field.

A field without a default is one that this package needs: a record without it counts as damaged. The other fields may be
missing, as in an older record, and fields that are not named here are kept. The table in `empirics/README.md` is made
from these structs. Figures have conditions of their own on the fields that they use (`figures.results`), since the
packages do not import one another; a test compares the two.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from empirics.names import MOST_DIGITS, MOST_LETTERS, MOST_LEVELS, parse_level_id

# Annotated[type, "what the field holds"], for the table
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]*\Z", max_length=MOST_LETTERS)]
TensorFile = Annotated[str, Meta(pattern=r"^[a-z]+\.safetensors\Z")]
Table = dict[str, Any]
Environments = Annotated[
    list[Table],
    "versions, processor, instruction set, threads and code of every process that its bits come from",
]
Seconds = Annotated[float | None, "time that it took"]
Provenance = Annotated[Table | None, "versions, commit, hardware and threads of the process that wrote it"]


class Record(Struct, kw_only=True):
    """The fields that every file may begin and end with."""

    schema: int | None = None
    kind: str | None = None
    checksum: str | None = None


class StudyRuns(Record, kw_only=True):
    """The runs and seeds of a study; their names and numbers become paths."""

    study: str
    arms: Annotated[dict[Name, Name], "arm -> run"]
    seeds: list[Count]

    def __post_init__(self) -> None:
        """Refuse a seed that no folder can be named by."""
        if any(seed >= 10**MOST_DIGITS for seed in self.seeds):
            raise ValueError(f"a seed has more than {MOST_DIGITS} digits")


class Study(StudyRuns, kw_only=True):
    """One preset on one data set. Records without the fields after `shared_overrides` can be read."""

    levels: Annotated[int, Meta(ge=1, le=MOST_LEVELS)]
    dense_run: Name
    command: str | None = None
    dataset: str | None = None
    data_hash: str | None = None
    model: str | None = None
    width: int | None = None
    prune_rate: float | None = None
    preset: str | None = None
    base: Annotated[str | None, "the preset without what was changed in it"] = None
    overrides: Annotated[Table | None, "what was changed"] = None
    swept: Annotated[str | None, "of a sweep, which one"] = None
    shared_overrides: Annotated[Table | None, "those of all values of the sweep"] = None
    protocol: Annotated[str | None, "`ours` where a record has none"] = None
    title: Annotated[str | None, "of the data set"] = None
    classes: Annotated[int | None, "number of them in the data set"] = None
    smoke: Annotated[bool | None, "true for a smoke run, which is never judged"] = None
    planned: Annotated[dict[str, list[Count]] | None, "arm -> seeds, where n was fixed before the data"] = None
    train_images: Annotated[list[Count] | None, "of a study on a part: how many it trains on, how many there are"] = (
        None
    )


class OverlapPair(Struct, kw_only=True):
    """Two arms of a seed, level by level."""

    arms: list[str]
    seed: Count
    levels: list[Count]
    n_kept: list[list[Count]]
    shared: list[Count]
    same_sign: Annotated[list[Count], "shared weights of the same sign at the end"]


class Overlaps(Record, kw_only=True):
    """Arms held against `imp` and `lrr`: weights that both keep."""

    study: str | None = None
    of_arms: Annotated[dict[str, Any], "arm -> run"]
    of_seeds: list[Any]
    pairs: list[OverlapPair] | None = None


class Ends(Struct, kw_only=True):
    """Two networks, `dense` at level 0."""

    between: Annotated[Literal["rules", "levels", "seeds"], "`rules`, `levels` or `seeds`"]
    arms: list[str]
    seeds: list[Count]
    levels: list[Count]


class UnmeasuredPair(Ends, kw_only=True):
    """Two networks that could not be measured."""

    reasons: Annotated[list[str | None], "`missing`, `diverged` or null"]


class MeasuredPair(Ends, kw_only=True):
    """Two networks and what lies between them."""

    contents: Annotated[list[str], "hashes of the two levels"]
    n_kept: list[Count]
    total: Count
    shared: Count
    same_sign: Annotated[Count, "shared weights of the same sign at the end"]
    union_density: float
    sign_similarity: float | None
    errors: Annotated[
        list[float], "test errors at `alphas`, with batch norm recomputed by one pass over the training set"
    ]
    barrier: Annotated[float, "their largest excess over the straight line between the ends"]
    errors_not_recomputed: Annotated[list[float], "with interpolated statistics"]
    barrier_not_recomputed: float


class Connectivity(Record, kw_only=True):
    """Pairs of trained networks.

    IMP's and LRR's of a seed at each level (`rules`), consecutive `levels` of either, and two `seeds` (the first and
    second, the third and fourth, ...).
    """

    study: str | None = None
    of_arms: Annotated[Table | None, "arm -> run"] = None
    dense_run: str | None = None
    of_seeds: list[Any] | None = None
    levels: int | None = None
    alphas: Annotated[list[float], "points on the line between two networks"]
    pairs: list[MeasuredPair]
    left_out: Annotated[list[UnmeasuredPair], "pairs that could not be measured"]
    environments: Environments
    provenance: Provenance


class Arrays(Struct, kw_only=True):
    """Of the file of arrays."""

    file: str
    sha256: str
    names: Annotated[Table | None, "name -> shape"] = None


class TheoryResult(Record, kw_only=True):
    """One experiment of the neuron."""

    experiment: str | None = None
    params: Table | None = None
    values: Table | None = None
    arrays: Arrays | None
    seconds: Seconds = None
    command: str | None = None
    provenance: Provenance = None


class RunSettings(Struct, kw_only=True):
    """The settings of a run, which its name is made from."""

    schema: int
    kind: str
    run: str
    arm: str
    config: Annotated[Table, "every hashed field"]
    dense_run: str | None
    mask_run: Annotated[str | None, "whose masks it uses"]


class EpochLine(Struct, kw_only=True):
    """A line an epoch, in the order of training."""

    level: Count
    cycle: Count
    epoch: Annotated[Count, "over all cycles"]
    lr: float
    train_loss: Annotated[float, "as `train_accuracy`, a mean over the epoch's batches"]
    train_accuracy: float
    test_loss: Annotated[float | None, "null, as `test_accuracy`, after an epoch that `evaluate_every` leaves out"]
    test_accuracy: float | None
    validation_loss: Annotated[float | None, "null there and without held-out images"]
    validation_accuracy: float | None
    images_per_s: float | None


class Layer(Struct, kw_only=True):
    """One layer of a level."""

    size: Count | None = None
    n_kept: Count
    flips: Annotated[dict[str, Count | None] | None, "by each reading"] = None
    norm: Annotated[float | None, "at the end"] = None
    weight_change_norm: Annotated[float | None, "over the level"] = None


class Strike(Struct, kw_only=True):
    """A strike on the signs: the epoch at whose start it fell, and what it did."""

    epoch: Count
    test_accuracy_before: float
    test_accuracy_after: float


class MaskSnapshot(Struct, kw_only=True):
    """A mask that pruning would have taken earlier."""

    epoch: Count
    n_kept: Count
    shared: Annotated[Count, "with the mask at the end"]


class Level(Record, kw_only=True):
    """One level; numbers are null where it diverged."""

    run: str
    arm: str | None = None
    seed: int
    level: int
    status: Annotated[Literal["complete", "diverged"], "`complete` or `diverged`"]
    reason: Annotated[str | None, "why it diverged"] = None
    density: float | None = None
    nominal_density: Annotated[float | None, "which the prune rate asks for: clamped layer densities keep less"] = None
    n_kept: Count | None = None
    total: Count | None = None
    epochs: Count | None = None
    train_loss: Annotated[float | None, "as `train_accuracy`, over the whole training set in evaluation mode"] = None
    train_accuracy: float | None = None
    test_loss: Annotated[float | None, "as the next three, of the last epoch"] = None
    test_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    strike: Annotated[Strike | None, "the last strike on the signs, or null"] = None
    mask_snapshots: Annotated[list[MaskSnapshot] | None, "masks that pruning would have taken earlier"] = None
    seconds: Seconds = None
    images_per_s: float | None = None
    overlap_with_previous_level: Annotated[Count | None, "weights that the level before kept too"] = None
    n_kept_previous_level: Count | None = None
    layers: Annotated[dict[str, Layer], "by name"]
    depends_on: Annotated[dict[str, str], "SHA-256 of the levels that it is made from"]
    environments: Environments
    provenance: Table
    metrics_sha256: Annotated[str | None, "of its lines in the log"] = None
    files: Annotated[dict[TensorFile, str], "SHA-256 of its neighbours"]

    def __post_init__(self) -> None:
        """Refuse names of levels that lead out of the results."""
        if not all(parse_level_id(name) for name in self.depends_on):
            raise ValueError("depends_on names no level")


class SignsLayer(Struct, kw_only=True):
    """The last level's survivors of one layer."""

    survivors: Count
    flips: Annotated[dict[str, list[Count] | None], "a level, by each reading"]
    settles_at: Annotated[list[Count], "weights that [never flipped, flipped last at level 0, 1, ...]"]
    settles_before_last: Annotated[list[Count], "the same without the last level"]
    switches: Annotated[list[Count], "weights with [0, 1, ...] flips"]


class Signs(Record, kw_only=True):
    """Sign statistics over the last level's survivors."""

    run: str
    arm: str | None = None
    seed: int
    levels: list[Count] | None = None
    layers: Annotated[dict[str, SignsLayer], "by name"]


class PackedSeed(Record, kw_only=True):
    """In a folder of [records](#records-of-seeds) only: the records of this run and seed as they were written."""

    run: str
    seed: int
    files: Annotated[dict[str, str], "the texts of `metrics.jsonl`, every `level.json` and `signs.json`"]


FILES: dict[str, type[Struct] | str] = {
    "`results/theory/<experiment>-<hash>.json` (+ `.npz`)": TheoryResult,
    "`results/studies/<study>.json`": Study,
    "`results/overlaps/<study>.json`": Overlaps,
    "`results/connectivity/<study>.json`": Connectivity,
    "`results/runs/<run>/config.json`": RunSettings,
    "`.../seed-<s>/metrics.jsonl`": EpochLine,
    "`.../seed-<s>/level-<kk>/level.json`": Level,
    "`.../seed-<s>.json.gz`": PackedSeed,
    "`.../seed-<s>/checkpoints/`": "While a level is being trained: its last two checkpoints, and a manifest with "
    "their SHA-256.",
    "`.../level-<kk>/*.safetensors`": "`weights` (float32 state dict), `masks` and `signs` (one bit a weight), level 0 "
    "also `initial`.",
    "`.../seed-<s>/signs.json`": Signs,
}
