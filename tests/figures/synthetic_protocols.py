"""Made-up results of a second protocol, and of ours with one of its settings: a test fixture, never evidence.

The effects are known: claims 6 and 11 turn their verdicts and 9 keeps it; of claim 5 LRR's lead turns its sign, as it
does with the rewind point alone.
"""

import json
from pathlib import Path

from tests.figures import synthetic

SWITCHES = {"rewind_epoch": 1, "warmup": "once", "lr_floor": 0.01, "classifier_bias": False}
LEADS = synthetic.ARMS | {"lrr": (-3.0, True), "imp-on-lrr-mask": (-2.0, False), "lrr-perturbed": (-6.0, True)}


def authors(root: Path, leads=LEADS, **kwargs) -> str:
    """The preset's study under the protocol `authors`, with runs of its own; returns its name."""
    return study(root, "authors", {"protocol": "authors"}, leads, **kwargs)


def switched(root: Path, name: str, lead: float, **kwargs) -> str:
    """Our protocol with one of the authors' settings: imp and lrr, of which LRR leads by `lead` points."""
    changes = {"overrides": {name: SWITCHES[name]}, "swept": "protocol"}
    return study(root, f"{name}={SWITCHES[name]}", changes, {"imp": (0.0, False), "lrr": (lead, True)}, **kwargs)


def everything(root: Path, **kwargs) -> None:
    """Both: the rewind point alone turns LRR's lead."""
    authors(root, **kwargs)
    for name in SWITCHES:
        switched(root, name, -3.0 if name == "rewind_epoch" else 3.0, **kwargs)


def study(root: Path, words: str, changes: dict, leads: dict, dataset: str = "digits", **kwargs) -> str:
    """A study of `quick` whose runs and record are apart from those of our own; returns its name."""
    apart = Path(root) / "apart"
    synthetic.study(apart, dataset=dataset, arms=leads, seed=11, **kwargs)
    place, name = f"-{words.replace('=', '-')}", f"quick-{words.replace('=', '-')}-{dataset}"
    record = json.loads((apart / f"studies/quick-{dataset}.json").read_text())
    protocol = " --protocol authors" if "protocol" in changes else " --sweep protocol"
    record |= {"study": name, "preset": f"quick, {words}", "base": "quick", "command": record["command"] + protocol}
    record |= {"dense_run": record["dense_run"] + place, **changes}
    record["arms"] = {arm: run + place for arm, run in record["arms"].items()}
    synthetic.write(root, f"studies/{name}.json", record)
    for path in sorted(apart.glob("runs/**/*.json")):
        found = json.loads(path.read_text())
        found |= {key: found[key] + place for key in ("run", "dense_run") if found.get(key)}
        parts = path.relative_to(apart / "runs").parts
        synthetic.write(root, "/".join(["runs", parts[0] + place, *parts[1:]]), found)
        path.unlink()
    (apart / f"studies/quick-{dataset}.json").unlink()
    return name
