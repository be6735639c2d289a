"""Results that may not be looked at, broken links, seeds of any size: read, or an error, and never "not run"."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from figures.claims.registry import evaluate
from figures.comparison.overlay import compare_results
from figures.provenance.explain import explain
from figures.provenance.sidecars import UnknownPicture, standing_figure
from figures.regenerate import regenerate
from figures.results import fields, names
from figures.results.fields import ClosedFolder, NoFolder
from figures.results.folders import kind, names_in
from figures.results.load import load

pytestmark = pytest.mark.slow

NOBODY = 65534
RUN = "runs/lrr-digits-resnet20-0000cafe"
STUDY = "studies/quick-digits.json"
NOWHERE, CIRCLE = "it is a link that leads nowhere", "it is a link that leads in a circle"


def two_arms(synthetic, root, seeds, levels=8):
    synthetic.study(root, seeds=seeds, levels=levels, arms={arm: synthetic.ARMS[arm] for arm in ("imp", "lrr")})


@pytest.fixture(scope="module")
def small(synthetic):
    """Results with one study of a few arms, in a folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="paper-repro-test-"))
    folder.chmod(0o755)
    two_arms(synthetic, folder / "results", (0, 1), levels=3)
    synthetic._theory_file(folder / "results", "quadrants", {"points": 41}, *synthetic.quadrants())
    synthetic._theory_file(folder / "results", "stories", {"d": 2}, *synthetic.stories())
    yield folder / "results"
    shutil.rmtree(folder)


@pytest.fixture
def copy(small, tmp_path):
    return Path(shutil.copytree(small, tmp_path / "results"))


@contextlib.contextmanager
def closed(folder, mode=0):
    """A folder or file with no rights, looked at by somebody who is not root."""
    before, user = folder.stat().st_mode, os.geteuid()
    folder.chmod(mode)
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        folder.chmod(before)


@pytest.mark.parametrize("part", [".", "theory", "studies", "connectivity", "runs"])
def test_a_closed_part_of_the_results_is_an_error_and_never_not_run(small, part):
    with (
        closed(small / part),
        pytest.raises(ClosedFolder, match=f"{part if part != '.' else 'results'}.* cannot be listed"),
    ):
        load(small)
    assert load(small).problems == ()


@pytest.mark.parametrize("part", [".", "theory", "studies", "connectivity", "runs"])
@pytest.mark.parametrize("why", [NOWHERE, CIRCLE])
def test_a_part_that_is_a_broken_link_is_an_error_and_never_not_run(copy, part, why):
    folder = copy / part
    shutil.move(folder, copy.parent / "moved")
    folder.symlink_to(copy.parent / "moved")
    assert load(copy).problems == () and len(load(copy).studies) == 1, "a link that leads to it is as good"
    folder.unlink()
    folder.symlink_to("gone" if why == NOWHERE else folder.name)
    with pytest.raises(ClosedFolder, match=why):
        load(copy)


def test_results_that_are_not_there_are_told_from_closed_ones(tmp_path):
    with pytest.raises(NoFolder):
        load(tmp_path / "none")
    assert load(tmp_path).studies == (), "nothing has been run"


# what is closed or broken -> (owner of the problem, the seed that is lost)
LOST = {
    STUDY: ("studies", None),
    "theory/quadrants-0000cafe.json": ("quadrants", None),
    "theory/quadrants-0000cafe.npz": ("quadrants", None),
    RUN: ("lrr-digits-resnet20-0000cafe", None),
    f"{RUN}/config.json": ("lrr-digits-resnet20-0000cafe", None),
    f"{RUN}/seed-1": ("lrr-digits-resnet20-0000cafe", 1),
    f"{RUN}/seed-1/level-02": ("lrr-digits-resnet20-0000cafe", 1),
    f"{RUN}/seed-1/level-02/level.json": ("lrr-digits-resnet20-0000cafe", 1),
    f"{RUN}/seed-1/signs.json": ("lrr-digits-resnet20-0000cafe", 1),
}


@pytest.mark.parametrize("place", LOST)
def test_a_closed_record_or_run_is_a_problem_that_names_it(small, place):
    with closed(small / place):
        found = load(small).problems
    assert [(problem.owner, problem.seed) for problem in found] == [LOST[place]]
    assert "cannot be read (Permission denied)" in found[0].message and Path(place).name in found[0].message + place


@pytest.mark.parametrize("place", LOST)
@pytest.mark.parametrize("why", [NOWHERE, CIRCLE])
def test_a_record_or_run_that_is_a_broken_link_is_a_problem_and_never_missing(copy, place, why):
    path = copy / place
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to("gone" if why == NOWHERE else path.name)
    found = load(copy).problems
    assert [(problem.owner, problem.seed) for problem in found] == [LOST[place]]
    assert why.removeprefix("it ") in found[0].message


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("place", [STUDY, f"{RUN}/seed-1/level-02/level.json", f"{RUN}/seed-1/signs.json"])
def test_a_pipe_or_a_folder_in_place_of_a_record_is_a_problem_and_ends(copy, place, make):
    (copy / place).unlink()
    make(copy / place)
    (found,) = load(copy).problems
    assert "must be a regular file" in found.message


@pytest.mark.parametrize("put", [os.mkfifo, Path.touch, Path.mkdir])
@pytest.mark.parametrize("place", [RUN, f"{RUN}/config.json", f"{RUN}/seed-1", f"{RUN}/seed-1/level-02"])
def test_something_else_in_place_of_a_part_of_a_run_is_a_problem_and_never_missing(copy, place, put):
    folder = not place.endswith(".json")
    if put is (Path.mkdir if folder else Path.touch):
        return  # what belongs there
    shutil.rmtree(copy / place) if folder else (copy / place).unlink()
    put(copy / place)
    (found,) = load(copy).problems
    assert found.owner == "lrr-digits-resnet20-0000cafe" and found.seed == (1 if "seed" in place else None)
    wanted = "a folder" if folder else "a regular file"
    assert f"{place}: what is there must be {wanted}, got" in found.message
    assert f"move {place} away and run the command that made it again" in found.message


def test_something_else_in_place_of_the_dense_run_is_a_problem(copy):
    (dense,) = (copy / "runs").glob("dense-*")
    shutil.rmtree(dense)
    os.mkfifo(dense)
    (found,) = load(copy).problems
    assert found.owner == dense.name and "must be a folder" in found.message


def test_levels_without_the_config_of_their_run_are_a_problem_and_a_run_without_levels_is_not(copy):
    (copy / RUN / "config.json").unlink()
    (found,) = load(copy).problems
    assert f"{RUN}/config.json: the file must be there, got 'nothing': run the command" in found.message
    for level in (copy / RUN).glob("seed-*/level-*"):
        shutil.rmtree(level)
    assert load(copy).problems == (), "it is just beginning"


def test_hidden_twins_of_records_are_no_records(copy):
    for place in ("studies/._quick-digits.json", "theory/._quadrants-0000cafe.json", "runs/.DS_Store", ".DS_Store"):
        (copy / place).write_bytes(b"\0\5\x16\7")
    assert load(copy).problems == ()


def test_claims_from_closed_results_fail_by_name(small, tmp_path, writer):
    def draw():
        return regenerate(["claims"], small, tmp_path, write=writer, provenance={}, command="again")

    with closed(small / "studies"), pytest.raises(ClosedFolder):
        load(small)
    (small / STUDY).rename(small / "kept")
    (small / STUDY).symlink_to("gone")
    try:
        (outcome,) = draw()
    finally:
        (small / STUDY).unlink()
        (small / "kept").rename(small / STUDY)
    assert outcome.status == "failed" and NOWHERE in outcome.message


def test_a_comparison_with_closed_results_is_an_error_by_name(small, tmp_path, writer):
    def compared():
        return compare_results(["1"], small, small, tmp_path, write=writer, provenance={}, command="compare")

    with closed(small), pytest.raises(ClosedFolder):
        compared()
    with closed(small / "runs"), pytest.raises(ClosedFolder):
        compared()


def test_explain_says_what_it_may_not_read(small, tmp_path, writer):
    with tempfile.TemporaryDirectory(prefix="paper-repro-test-") as name:
        out = Path(name)
        out.chmod(0o755)
        regenerate(["1"], small, out, write=writer, provenance={}, command="again")
        picture = out / "figures/fig1.png"
        assert "inputs are unchanged in" in explain("1", small, out)
        with closed(picture):
            assert "WARNING: fig1.png cannot be read: Permission denied." in explain("1", small, out)
            with pytest.raises(UnknownPicture, match="fig1.png cannot be read: Permission denied"):
                explain(picture, small, out)
        for place in (out / "figures", out / "figures/fig1.json"):
            with closed(place), pytest.raises(UnknownPicture, match="cannot be read: Permission denied"):
                explain("1", small, out)
        with closed(out / "figures"), pytest.raises(UnknownPicture, match="cannot be read: Permission denied"):
            standing_figure("1", out / "figures")
        with closed(small):
            text = explain("1", small, out)
        assert "WARNING: " in text and "are unchanged" not in text
        with closed(small / "theory"):
            assert "closed   theory/" in explain("1", small, out)


SEEDS = (0, 7, 10, 2**31, 1732805129, 9_999_999_999, 2**63, 2**64 + 1, 2**127 + 11, 10**249 + 7)


@pytest.mark.parametrize("seeds", [SEEDS, (1732805129, 1732805130)])
def test_seeds_of_any_size_are_read_judged_and_named_as_small_ones_are(synthetic, tmp_path, seeds):
    two_arms(synthetic, tmp_path / "large", seeds)
    two_arms(synthetic, tmp_path / "small", range(len(seeds)))
    large, small = load(tmp_path / "large"), load(tmp_path / "small")
    assert large.problems == ()
    assert large.studies[0].study.seeds == tuple(sorted(seeds)) == tuple(large.studies[0].arms["lrr"].seeds)
    assert large.studies[0].arms["lrr"].seeds[seeds[0]].signs is not None
    rows = [[row for verdict in evaluate(records) for row in verdict.rows] for records in (large, small)]
    assert len(rows[0]) == len(rows[1])
    numbers = [
        [(row.verdict, row.effect, row.low, row.high, row.n, len(row.missing)) for row in rows_] for rows_ in rows
    ]
    assert numbers[0] == numbers[1]
    judged = [row for row in rows[0] if row.n == len(seeds)]
    assert judged, "some claims are judged on these seeds"


def test_figures_of_large_seeds_are_drawn(synthetic, tmp_path, writer):
    two_arms(synthetic, tmp_path / "results", (1732805129, 2**63))
    outcomes = regenerate(["13", "claims"], tmp_path / "results", tmp_path, write=writer, provenance={}, command="x")
    assert [outcome.status for outcome in outcomes] == ["drawn", "drawn"]
    assert "1732805129 9223372036854775808" in (tmp_path / "figures/fig13.json").read_text()
    assert "[1732805129, 9223372036854775808]" in explain("13", tmp_path / "results", tmp_path)


@pytest.mark.parametrize(
    "name", ["seed-", "seed-01", "seed-007", "seed--1", "seed-+1", "seed-1e3", "seed-1_0", "seed- 1", "seed-1 ",
             "seed-\u0663", "seed-\u00b2", "seed-1\n", "Seed-1", "seed-0-old", "seed-" + "9" * 251]
)  # fmt: skip
def test_a_name_that_no_seed_is_written_under_is_read_as_none(name):
    assert names.seed_of(name) is None
    assert names.level_of(name.lower().replace("seed", "level", 1).replace("-01", "-1")) is None


def test_levels_are_read_with_as_many_digits_as_they_have():
    assert [names.level_of(f"level-{level:02d}") for level in (0, 9, 10, 99, 100, 9998, 12345)] == [
        0, 9, 10, 99, 100, 9998, 12345
    ]  # fmt: skip
    assert names.level_of("level-1") is None and names.level_of("level-001") is None


def test_a_seed_that_no_folder_can_name_is_refused_in_a_record():
    assert [fields.fits(seed, fields.LongWhole) for seed in (0, 10**250 - 1, -1, True, 1.0)] == [1, 1, 0, 0, 0]
    fields.check_seeds([0, 10**250 - 1], "f", "seeds")
    for seeds in ([10**250], [], [1, 1]):
        with pytest.raises(fields.ResultError, match="seeds must be a list of different whole numbers >= 0"):
            fields.check_seeds(seeds, "f", "seeds")


def test_what_is_there_is_told_from_what_may_not_be_looked_at(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("x")
    (tmp_path / "link").symlink_to("gone")
    assert [kind(tmp_path / name) for name in ("a", "a/b", "c", "a/b/c")] == ["folder", "file", None, None]
    assert names_in(tmp_path) == ["a", "link"] and names_in(tmp_path / "none") == []
    with pytest.raises(OSError, match="'link' on the way to it is a link that leads nowhere"):
        kind(tmp_path / "link/b/c")
    with pytest.raises(NotADirectoryError):
        names_in(tmp_path / "a/b")
