"""The table of all claims in the README says of the CIFAR-10 study what its records say, and nothing before its n."""

import re

from figures.claims.registry import evaluate
from figures.claims.tables import final_verdict
from figures.results.load import load
from tests import ROOT

FOLDER, COLUMN = ROOT / "figures/reference/cifar10-jpeg", "CIFAR-10 (JPEG)"


def rows() -> tuple[list[str], list[list[str]]]:
    """The heading and the rows of the table, as cells."""
    text = (ROOT / "figures/README.md").read_text().partition("## All claims")[2]
    table = re.search(r"^\|.*\|\n\|[-|]+\|\n(?:\|.*\|\n)+", text, re.MULTILINE)[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return cells[0], cells[2:]


def test_the_last_column_is_that_of_the_study():
    heading, body = rows()
    assert heading[-1] == COLUMN and all(len(row) == len(heading) for row in body)


def test_its_cells_are_the_final_verdicts_of_the_records_and_empty_before():
    found = evaluate(load(FOLDER)) if (FOLDER / "studies").is_dir() else []
    final = {verdict.id: final_verdict(verdict) for verdict in found if verdict.study}
    for row in rows()[1]:
        number = row[0].split()[0]
        wanted = final.get(number, "")
        assert row[-1].startswith(wanted) if wanted else row[-1] == "", f"claim {number}: {wanted!r}"
