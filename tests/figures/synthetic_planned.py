"""A made-up study whose n was fixed before its data, as a folder of records that comes with the code."""

import json
import shutil
from pathlib import Path

from empirics.storage.files import with_checksum
from empirics.storage.packed import pack
from tests.figures import synthetic

DATASET, PRESET = "cifar10-jpeg", "cifar10-small"
STUDY = f"{PRESET}-{DATASET}"
PLANNED = {
    **dict.fromkeys(("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "lrr-bn-rewind", "sign", "magnitude",
                     "imp-long"), range(6)),
    **dict.fromkeys(("imp-on-random-mask", "lrr-on-random-mask", "imp-long-on-random-mask", "imp-bn-kept"), range(4)),
}  # fmt: skip


def study(folder: Path, n: int = 6, scale: float = 1.0, planned=PLANNED, protocol: str = "ours", **changes) -> Path:
    """Records of the first `n` planned seeds of every arm; a control has the last level alone. Returns the folder."""
    arms = {arm: synthetic.ARMS[arm] for arm in planned}
    synthetic.study(folder, DATASET, PRESET, tuple(range(n)), arms=arms, scale=scale, noise=0.2)
    shutil.rmtree(folder / "connectivity", ignore_errors=True)
    file = folder / f"studies/{STUDY}.json"
    record = json.loads(file.read_text()) | {
        "planned": {arm: list(seeds) for arm, seeds in planned.items()},
        "train_images": [20000, 50000],
        "title": "CIFAR-10 (JPEG)",
        "classes": 10,
        "base": PRESET,
        "protocol": protocol,
        "command": "paper_repro.py train --preset cifar10-small --data-dir DIR --dataset-name cifar10-jpeg",
    }
    file.write_text(json.dumps(record | changes))
    for seed in sorted(folder.glob("runs/*/seed-*")):
        number, config = int(seed.name.removeprefix("seed-")), seed.parent / "config.json"
        run = json.loads(config.read_text())
        if run["arm"].startswith("imp-long"):
            config.write_text(json.dumps(run | {"config": run["config"] | {"first_level": 7}}))
            shutil.rmtree(seed / "level-06", ignore_errors=True)
        if number in planned.get(run["arm"], range(n)):
            files = (path for path in sorted(seed.rglob("*")) if path.is_file())
            texts = {path.relative_to(seed).as_posix(): _sealed(path) for path in files}
            (seed.parent / f"seed-{number}.json.gz").write_bytes(pack(seed.parent.name, number, texts))
        shutil.rmtree(seed)
    return folder


def _sealed(path: Path) -> str:
    return json.dumps(with_checksum(json.loads(path.read_text())))
