"""The schemas of result files: the README's table is made from them, stored results fit, and figures ask for no more.

`python -m tests.empirics.storage.test_schemas` writes the table anew.
"""

import json
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import pytest

from empirics.storage import schemas
from empirics.storage.files import has_fields, json_bytes, read_record, with_checksum
from figures.results import connectivity, network, neuron, packed
from tests import ROOT

README = ROOT / "empirics/README.md"
BEGIN, END = "<!-- the table is made from empirics/storage/schemas.py -->\n", "<!-- end of the table -->\n"
COMMAND = "run `.venv/bin/python -m tests.empirics.storage.test_schemas`"


def parts_of(kind: Any) -> list[Any]:
    """A type without its notes, and the types within it."""
    if get_origin(kind) is Annotated:
        return parts_of(get_args(kind)[0])
    if get_origin(kind) in (list, dict, Union, types.UnionType):
        return [part for inner in get_args(kind) for part in parts_of(inner)]
    return [kind]


def field_text(field: msgspec.structs.FieldInfo) -> str:
    """A field, what it holds, and the fields within it."""
    notes = [note for note in getattr(field.type, "__metadata__", ()) if isinstance(note, str)]
    inner = [
        fields_text(part)
        for part in parts_of(field.type)
        if isinstance(part, type) and issubclass(part, msgspec.Struct)
    ]
    says = "".join(f": {note}" for note in notes) + "".join(f" ({text})" for text in inner)
    return f"`{field.encode_name}`{says}"


def fields_text(kind: type[msgspec.Struct]) -> str:
    head = schemas.Record.__struct_fields__
    return "; ".join(field_text(field) for field in msgspec.structs.fields(kind) if field.name not in head)


def row(file: str, kind: type[msgspec.Struct] | str) -> str:
    if isinstance(kind, str):
        return f"| {file} | {kind} |"
    return f"| {file} | {' '.join(kind.__doc__.split())} {fields_text(kind)} |"


def table() -> str:
    lines = ["| file | what it holds |", "|---|---|", *(row(*entry) for entry in schemas.FILES.items())]
    return "\n".join(lines) + "\n"


def test_the_table_of_the_readme_is_current():
    found = README.read_text().partition(BEGIN)[2].partition(END)[0]
    assert found == table(), COMMAND


PLACES = {
    "runs/*/seed-*/level-*/level.json": schemas.Level,
    "runs/*/seed-*/signs.json": schemas.Signs,
    "runs/*/config.json": schemas.RunSettings,
    "studies/*.json": schemas.Study,
    "overlaps/*.json": schemas.Overlaps,
    "connectivity/*.json": schemas.Connectivity,
    "theory/*.json": schemas.TheoryResult,
}


def unknown_fields(record: Any, kind: Any) -> set[str]:
    """Fields that a schema does not name, of a record and of the objects within it."""
    structs = [part for part in parts_of(kind) if isinstance(part, type) and issubclass(part, msgspec.Struct)]
    if isinstance(record, list):
        return {name for item in record for name in unknown_fields(item, kind)}
    if not isinstance(record, dict) or not structs:
        return set()
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(structs[0])}
    if get_origin(kind if get_origin(kind) is not Annotated else get_args(kind)[0]) is dict:
        return {name for item in record.values() for name in unknown_fields(item, structs[0])}
    found = record.keys() - fields.keys()
    return found | {
        name for field, value in record.items() if field in fields for name in unknown_fields(value, fields[field])
    }


GOLDEN = ROOT / "tests/golden/results"
STORED = [(file, kind) for pattern, kind in PLACES.items() for file in sorted(GOLDEN.glob(pattern))]


@pytest.mark.parametrize(("file", "kind"), STORED, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_stored_results_have_the_fields_of_the_schemas_and_no_others(file, kind):
    record = json.loads(file.read_bytes())
    assert has_fields(record, kind) and unknown_fields(record, kind) == set()
    assert kind is schemas.RunSettings or read_record(file, kind) == record


def test_a_field_that_no_schema_names_is_seen():
    assert unknown_fields({"layers": {"a": {"n_kept": 1, "new": 2}}, "more": 3}, schemas.Level) == {"new", "more"}


READERS = [
    (network._CompleteLevel, schemas.Level),
    (network._SignsFile, schemas.Signs),
    (network._SignsLayer, schemas.SignsLayer),
    (network._Layer, schemas.Layer),
    (network._RunFile, schemas.RunSettings),
    (connectivity._File, schemas.Connectivity),
    (neuron.TheoryFile, schemas.TheoryResult),
    (neuron._Arrays, schemas.Arrays),
    (packed._PackedFile, schemas.PackedSeed),
]


@pytest.mark.parametrize(("reader", "writer"), READERS, ids=lambda kind: kind.__name__)
def test_figures_read_no_field_that_is_not_written(reader, writer):
    assert set(reader.__struct_fields__) <= set(writer.__struct_fields__)


def test_the_fields_of_a_study_pairs_strikes_and_snapshots_are_those_that_are_written():
    for reader, writer in (
        (network.Study, schemas.Study),
        (network.Strike, schemas.Strike),
        (network.MaskSnapshot, schemas.MaskSnapshot),
        (connectivity.NetworkPair, schemas.MeasuredPair),
        (connectivity.UnmeasuredPair, schemas.UnmeasuredPair),
    ):
        assert set(reader.__dataclass_fields__) <= set(writer.__struct_fields__)


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
        ("test_accuracy", "high"),
    ],
)
def test_a_level_with_a_field_of_another_type_counts_as_damaged(tmp_path, field, value):
    record = json.loads(next(GOLDEN.glob("runs/*/seed-0/level-01/level.json")).read_bytes())
    file = tmp_path / "level.json"
    for content, there in ((record, True), ({**record, field: value}, False), ({**record, "later": value}, True)):
        file.write_bytes(json_bytes(with_checksum(content)))
        assert (read_record(file, schemas.Level) is not None) is there
    needed = {part.name for part in msgspec.structs.fields(schemas.Level) if part.required}
    assert (field in needed) or field == "test_accuracy"


def test_an_older_record_of_a_study_is_read():
    record = {"study": "x", "arms": {"imp": "imp-x"}, "seeds": [0], "levels": 2, "dense_run": "dense-x"}
    assert has_fields(record, schemas.Study) and not has_fields({**record, "seeds": [10**250]}, schemas.Study)


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
    sys.exit(0)
