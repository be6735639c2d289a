"""Which verdicts turn with the protocol: the rows, their attribution, and the table."""

import json
import shutil
from dataclasses import replace

import pytest

from figures.claims.protocols import (
    NOT_ATTRIBUTED,
    claims_under_both,
    protocol_rows,
    protocols_json,
    protocols_markdown,
)
from figures.claims.verdicts import NOT_RUN, REPRODUCED, REVERSED
from figures.results.load import load
from figures.results.network import Records
from figures.results.variants import EVERY_PROTOCOL
from tests.figures import synthetic, synthetic_protocols


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """The preset under both protocols, and under ours with one of the authors' settings at a time."""
    root = tmp_path_factory.mktemp("protocols")
    synthetic.study(root)
    synthetic_protocols.everything(root)
    records = load(root, protocol=EVERY_PROTOCOL)
    shutil.rmtree(root)
    return records


def rows(records):
    return {(row.claim, row.label): row for row in protocol_rows(records)}


def without(records, *switches):
    kept = [r for r in records.sweeps if not set(switches) & set(r.study.overrides)]
    return replace(records, sweeps=tuple(kept))


def test_the_claims_are_those_whose_entries_say_so(every):
    assert claims_under_both() == ["5", "6", "7", "9", "10a", "10b", "11", "12", "14"]
    found = list(dict.fromkeys(claim for claim, _ in rows(every)))
    assert sorted(found) == sorted(claims_under_both()), "each is judged, the parts of 12 apart"
    assert {label for claim, label in rows(every) if claim == "12"} == {"BN rewind", "warm-up"}


def test_each_side_is_judged_on_its_own_studies(every):
    row = rows(every)["5", ""]
    assert row.verdicts == (REPRODUCED, REVERSED) and row.ours.effect > 2 and row.authors.effect < -2
    assert "preset quick, digits" in row.ours.scope and "preset quick, authors" in row.authors.scope
    same = rows(every)["7", ""]
    assert same.differs == () and same.switches == () and same.turned_by == ""


def test_a_difference_is_attributed_to_the_settings_with_which_the_verdict_is_the_authors(every):
    row = rows(every)["5", ""]
    assert row.differs == ("verdict", "sign") and row.turned_by == "rewind point"
    shown = [(switch.name, switch.settings, switch.turns) for switch in row.switches]
    assert shown == [
        ("rewind point", "rewind_epoch=1", True),
        ("warm-up", "warmup=once", False),
        ("floor", "lr_floor=0.01", False),
        ("bias", "classifier_bias=False", False),
    ]
    assert row.switches[0].row.effect < -2 and row.switches[1].row.effect > 2
    assert rows(without(every, "rewind_epoch"))["5", ""].turned_by == NOT_ATTRIBUTED


def test_a_claim_that_needs_other_arms_than_the_sweep_has_is_not_attributed(every):
    row = rows(every)["6", ""]
    assert row.verdicts == (REPRODUCED, REVERSED) and row.switches == () and row.turned_by == NOT_ATTRIBUTED


def test_where_only_the_sign_differs_the_sign_is_attributed(every):
    row = rows(every)["10b", ""]
    assert row.differs == ("sign",) and row.ours.effect * row.authors.effect < 0
    assert all(switch.turns == (switch.row.effect * row.authors.effect > 0) for switch in row.switches)


def test_both_sides_and_the_single_settings_have_the_seeds_that_both_protocols_have(every):
    study = every.of_protocol("authors").studies[0]
    fewer = replace(study, study=replace(study.study, seeds=(0, 1, 2)))
    others = tuple(r for r in every.studies if r is not study)
    row = rows(replace(every, studies=(*others, fewer)))["5", ""]
    assert row.ours.seeds == row.authors.seeds == (0, 1, 2) == row.switches[0].row.seeds
    assert row.differs == ("sign",), "with three seeds there is no verdict on either side"


def test_a_protocol_that_has_not_been_run_is_no_difference(every):
    found = rows(every.of_protocol("ours"))
    assert all(row.verdicts[1] == NOT_RUN and row.differs == () for row in found.values())
    table = protocols_markdown(list(found.values()))
    assert "What is not run is run by `paper_repro.py protocols`." in table
    assert protocol_rows(Records()) == [] and "paper_repro.py protocols" in protocols_markdown([])


def test_smoke_runs_are_left_out(every):
    smoke = [replace(r, study=replace(r.study, smoke=True)) for r in every.studies]
    assert protocol_rows(replace(every, studies=tuple(smoke))) == []


def test_the_table_shows_both_sides_and_the_document_has_every_number(every):
    found = protocol_rows(every)
    table, document = protocols_markdown(found), json.loads(protocols_json(found, {"command": "c"}))
    assert "## Preset quick, digits" in table and "our protocol with the authors'" in table
    (line,) = (line for line in table.splitlines() if line.startswith("| **5** LRR beats IMP at high sparsity | +"))
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[2] == REPRODUCED and cells[5] == REVERSED and cells[-2:] == ["verdict and sign", "rewind point"]
    assert [row["claim"] for row in document["rows"]] == [row.claim for row in found]
    assert document["rows"][0]["authors"]["effect"] == found[0].authors.effect
    assert document["rows"][0]["turned_by"] == "rewind point" and document["kind"] == "protocols"
