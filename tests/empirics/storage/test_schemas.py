"""The schemas of result files: the README's table is made from them, and they name every field of stored results.

`python -m tests.empirics.storage.test_schemas` writes the table anew.
"""

import json
import re
from pathlib import Path

import msgspec
import pytest

from empirics.storage import schemas
from empirics.storage.files import has_fields, json_bytes, read_record, with_checksum
from figures.results import connectivity, network, neuron, packed
from tests import ROOT

README = ROOT / "empirics/README.md"
BEGIN, END = "<!-- the table is made from empirics/storage/schemas.py -->\n", "<!-- end of the table -->\n"
COMMAND = "run `.venv/bin/python -m tests.empirics.storage.test_schemas`"


def text_of(kind: type[msgspec.Struct] | str) -> str:
    return " ".join((kind if isinstance(kind, str) else kind.__doc__).split())


def table() -> str:
    rows = (f"| {file} | {text_of(kind)} |" for file, kind in schemas.FILES.items())
    return "\n".join(["| file | what it holds |", "|---|---|", *rows]) + "\n"


def test_the_table_of_the_readme_is_current():
    found = README.read_text().partition(BEGIN)[2].partition(END)[0]
    assert found == table(), COMMAND
    assert not re.search(r"\|[^|\n]*\|[^|\n]*\|[^|\n]*\|", found), "a cell with a bar in it"


PLACES = {
    "runs/*/seed-*/level-*/level.json": schemas.Level,
    "runs/*/seed-*/signs.json": schemas.Signs,
    "runs/*/seed-*/metrics.jsonl": schemas.METRICS,
    "runs/*/config.json": schemas.RUN_SETTINGS,
    "studies/*.json": schemas.Study,
    "overlaps/*.json": schemas.Overlaps,
}
HEAD = {"schema", "kind", "checksum"}  # of every file
OPEN = {"config", "overrides", "shared_overrides", "arms", "of_arms", "environments", "provenance", "flips", "files"}
OPEN |= {"depends_on", "planned"}  # fields whose own fields are not named


def unnamed(record: object, text: str) -> set[str]:
    """The fields of a record, and of what is in it, that a text does not name; the names of layers are none."""
    if isinstance(record, list):
        return {name for item in record for name in unnamed(item, text)}
    if not isinstance(record, dict):
        return set()
    named = lambda name: f"`{name}`" in text or f"`{name.split('_')[0]}_*`" in text  # noqa: E731
    found = {name for name in record if name not in HEAD and not named(name)}
    for name, value in record.items():
        inner = list(value.values()) if name == "layers" and value else value
        found |= set() if name in OPEN else unnamed(inner, text)
    return found


GOLDEN = ROOT / "tests/golden/results"
STORED = [(file, kind) for pattern, kind in PLACES.items() for file in sorted(GOLDEN.glob(pattern))]


@pytest.mark.parametrize(("file", "kind"), STORED, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_stored_results_are_read_and_every_field_of_them_is_described(file, kind):
    lines = file.read_bytes().splitlines() if file.suffix == ".jsonl" else [file.read_bytes()]
    assert unnamed([json.loads(line) for line in lines], text_of(kind)) == set()
    assert isinstance(kind, str) or read_record(file, kind) == json.loads(file.read_bytes())


def test_a_field_that_is_not_described_is_seen():
    record = {"layers": {"a": {"n_kept": 1, "new": 2}}, "test_loss": 1.0, "more": 3, "provenance": {"git": 1}}
    assert unnamed(record, text_of(schemas.Level)) == {"new", "more"}


@pytest.mark.parametrize("kind", [kind for kind in schemas.FILES.values() if not isinstance(kind, str)])
def test_a_schema_describes_the_fields_that_it_needs(kind):
    assert unnamed(dict.fromkeys(kind.__struct_fields__), text_of(kind)) == set()


READERS = {
    "level.json": (network._CompleteLevel, network._Layer, network.Strike, network.MaskSnapshot),
    "signs.json": (network._SignsFile, network._SignsLayer),
    "studies": (network.Study,),
    "config.json": (network._RunFile,),
    "connectivity": (connectivity._File, connectivity.NetworkPair, connectivity.UnmeasuredPair),
    "theory": (neuron.TheoryFile, neuron._Arrays),
    ".json.gz": (packed._PackedFile,),
}


@pytest.mark.parametrize("place", READERS)
def test_figures_read_no_field_that_is_not_described(place):
    (text,) = (text_of(kind) for file, kind in schemas.FILES.items() if place in file)
    for reader in READERS[place]:
        fields = getattr(reader, "__struct_fields__", ()) or reader.__dataclass_fields__
        assert unnamed(dict.fromkeys(fields), text) == set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", True),
        ("seed", 1.0),
        ("seed", "1"),
        ("level", None),
        ("status", "done"),
        ("files", {"../x.safetensors": "0"}),
        ("files", {"weights.safetensors\n": "0"}),
        ("depends_on", {"../x/level-00": "0"}),
        ("layers", {"conv": {"n_kept": True}}),
        ("environments", [1]),
    ],
)
def test_a_level_with_a_field_of_another_type_counts_as_damaged(tmp_path, field, value):
    record = json.loads(next(GOLDEN.glob("runs/*/seed-0/level-01/level.json")).read_bytes())
    file = tmp_path / "level.json"
    for content, there in ((record, True), ({**record, field: value}, False), ({**record, "later": value}, True)):
        file.write_bytes(json_bytes(with_checksum(content)))
        assert (read_record(file, schemas.Level) is not None) is there


def test_an_older_record_of_a_study_is_read():
    record = {"study": "x", "arms": {"imp": "imp-x"}, "seeds": [0], "levels": 2, "dense_run": "dense-x"}
    assert has_fields(record, schemas.Study) and not has_fields({**record, "seeds": [10**250]}, schemas.Study)


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
