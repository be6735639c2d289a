"""The report: one page with everything in it, that asks for nothing, whatever stands in the files it is made of."""

import base64
import dataclasses
import html
import json
import re
import shutil
import struct
from html.parser import HTMLParser

import pytest

from figures.catalogue import FIGURES
from figures.claims.tables import glance, verdicts_of
from figures.claims.verdicts import AT_CHANCE, INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN, REPRODUCED, REVERSED
from figures.regenerate import Outcome, regenerate
from figures.report.files import gather, write_report
from figures.report.page import Content, Picture, duration, report_html
from tests.support.processes import run

pytestmark = pytest.mark.slow

PROVENANCE = {"versions": {"python": "3.11"}, "git": {"commit": "c" * 40, "dirty": False}, "threads": 1}
SECTIONS = ["words", "claims", "figures", "fig1", "table1", "time", "provenance"]
VERDICTS = (REPRODUCED, NOT_REPRODUCED, REVERSED, INCONCLUSIVE, AT_CHANCE, NOT_RUN)
SOME = ("1", "3", "5", "14", "claims")
EVIL = "<script>alert(1)</script>\"'&--><img src=x onerror=alert(1)>"
TABLE = {
    "schema": 2,
    "kind": "table1",
    "note": "a note",
    "settings": ["lr", "milestones"],
    "presets": {
        "quick": {"lr": {"value": 0.1, "text": "0.1", "source": "ours"}},
        "cifar10": {"lr": {"value": 0.1, "text": "0.1", "source": "code: open_lth"}},
    },
}
DRAWING = "data:image/svg+xml;base64,"
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """A page read as a browser would, and strictly: every element closed, in order, ids once, links that lead there."""

    def __init__(self, page: bytes):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(page.decode("utf-8"))
        self.close()
        assert not self.open, f"left open: {self.open}"
        self.ids = [value for _, pairs in self.attributes for name, value in pairs if name == "id"]
        assert len(set(self.ids)) == len(self.ids), "an id stands twice"

    def handle_starttag(self, tag, pairs):
        self.tags.append(tag)
        self.attributes.append((tag, pairs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, pairs):
        self.tags.append(tag)
        self.attributes.append((tag, pairs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.words.append(data)

    def named(self, name):
        return [value for _, pairs in self.attributes for key, value in pairs if key == name]


def check_alone(page: Page) -> None:
    """The page runs nothing and asks for nothing: no scripts, no handlers, no address but places in itself."""
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "foreignobject"} & set(page.tags)
    names = {key for _, pairs in page.attributes for key, _ in pairs}
    assert not [name for name in names if name.startswith("on")]
    assert "svg" not in page.tags and names.isdisjoint({"style", "srcset", "background"})
    assert all(source.startswith(DRAWING) for source in page.named("src")), "pictures are in the page, as images"
    assert {link.removeprefix("#") for link in page.named("href")} <= set(page.ids)
    assert set(page.named("aria-describedby")) <= set(page.ids)


def drawings(page: Page) -> list[bytes]:
    """The pictures that a page shows, as the files that they were."""
    return [base64.b64decode(source.removeprefix(DRAWING), validate=True) for source in page.named("src")]


@pytest.fixture(scope="module")
def out(folder, tmp_path_factory, writer):
    """An output folder with some figures, the claims and Table 1."""
    place = tmp_path_factory.mktemp("out")
    regenerate(SOME, folder, place, write=writer, provenance=PROVENANCE, command="make figures")
    (place / "table1.json").write_text(json.dumps(TABLE))
    return place


@pytest.fixture(scope="module")
def page(out):
    return Page(report_html(gather(out, [])))


def text_of(page: Page) -> str:
    return " ".join("".join(page.words).split())


def test_the_page_is_whole_runs_nothing_and_asks_for_nothing(page):
    check_alone(page)
    (policy,) = [v for v in page.named("content") if v and "default-src" in v]
    assert policy.startswith("default-src 'none'") and "script" not in policy


def test_every_figure_that_was_made_is_shown_with_caption_and_alternative_text(page, out):
    pictures = [dict(pairs) for tag, pairs in page.attributes if tag == "img"]
    assert drawings(page) == [(out / f"figures/fig{name}.svg").read_bytes() for name in SOME]
    for name in SOME:
        sidecar = json.loads((out / f"figures/fig{name}.json").read_text())
        opening = sidecar["caption_opening"]
        for part in (opening, sidecar["caption"].removeprefix(opening)):
            assert " ".join(part.split()) in text_of(page)
        assert any(FIGURES[name].title in p["alt"] and name in p["alt"] for p in pictures)
        assert f"fig{name}-caption" in page.named("aria-describedby")
        assert f"fig{name}-caption" in page.ids and f"fig{name}" in page.ids


def test_a_caption_shows_its_opening_and_folds_the_rest_whole(out):
    made = report_html(gather(out, [])).decode()
    for name in SOME:
        sidecar = json.loads((out / f"figures/fig{name}.json").read_text())
        opening, rest = sidecar["caption_opening"], sidecar["caption"].removeprefix(sidecar["caption_opening"]).strip()
        (caption,) = re.findall(rf'<figcaption id="fig{name}-caption">(.*?)</figcaption>', made, re.DOTALL)
        shown, folded = caption.split("<details>")
        assert html.unescape(shown) == f"<p>{opening}</p>" and rest
        assert re.fullmatch(r"<summary>[^<]+</summary><p>[^<]+</p></details>", folded)
        assert f"<p>{rest}</p>" in html.unescape(folded)


@pytest.mark.parametrize("opening", [None, "", "another figure's opening"])
def test_a_caption_without_its_own_opening_is_shown_whole(opening):
    sidecar = {"caption": "Words. And more.", "kind": "figure"} | ({"caption_opening": opening} if opening else {})
    page = report_html(Content([Picture("1", "title", "a command", sidecar, svg("<path/>"))]))
    assert b'<figcaption id="fig1-caption"><p>Words. And more.</p></figcaption>' in page and b"<details>" not in page


def test_the_page_begins_with_the_claims_and_every_word_is_defined_before_its_use(page, out):
    assert [place for place in page.ids if place in SECTIONS] == SECTIONS
    made = report_html(gather(out, [])).decode()
    words, claims = made.index('<section id="words">'), made.index('<section id="claims">')
    entries = re.findall("<dt>(.*?)</dt>", made[words:claims])
    defined = {html.unescape(word) for entry in entries for word in entry.split(", ")}
    before = made[made.index("<main>") : words]
    for word in (*VERDICTS, "high-sparsity accuracy", "accuracy points"):
        assert word in defined and word not in before
    judged = json.loads((out / "claims.json").read_text())["claims"]
    assert {re.sub(r" \(n = \d+\)", "", row["verdict"]) for claim in judged for row in claim["rows"]} <= defined
    assert "density at most 0.03" in made[words:claims]


def test_figures_that_were_not_made_are_named_with_what_makes_them(page):
    text, absent = text_of(page), [name for name in FIGURES if name not in SOME]
    assert f"{len(absent)} of {len(FIGURES)} figures are not made yet" in text
    for name in absent:
        assert FIGURES[name].title in text and f"paper_repro.py figures {name}" in text


def test_claims_settings_provenance_and_time_are_there(page, out):
    text, claims = text_of(page), json.loads((out / "claims.json").read_text())
    for claim in claims["claims"]:
        assert " ".join(claim["claim"].split()) in text and claim["verdict"] in text
        assert all(" ".join(row["name"].split()) in text for row in claim["rows"])
    assert "code: open_lth" in text and "c" * 40 in text and "lrr-digits-resnet20-0000cafe" in text
    runs = json.loads((out / "figures/fig3.json").read_text())["studies"]["quick-digits"]["arms"]
    assert runs["lrr"]["seconds"] == pytest.approx(4 * 7 * 6.0) and "minutes" in text.split("Time of one process")[1]


def test_the_same_contents_give_the_same_bytes_and_are_not_written_twice(out, tmp_path, writer):
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    assert write_report(copy, [], writer)
    first = (copy / "report.html").read_bytes()
    assert not write_report(copy, [], None) and report_html(gather(out, [])) == first
    (copy / "figures/fig3.svg").unlink()
    assert write_report(copy, [], writer) and (copy / "report.html").read_bytes() != first


def test_the_report_loads_neither_matplotlib_nor_results():
    import sys

    script = "import sys; from figures.report.files import gather; gather(__import__('pathlib').Path('.'), []);"
    script += "print({'matplotlib', 'numpy', 'scipy'} & set(sys.modules))"
    done = run([sys.executable, "-c", script])
    assert "matplotlib" not in done.stdout and done.returncode == 0, done.stderr


def test_an_empty_folder_gives_a_page_that_lists_every_command(tmp_path):
    page = Page(report_html(gather(tmp_path, [])))
    check_alone(page)
    assert all(f"paper_repro.py figures {name}" in text_of(page) for name in FIGURES)
    assert "have not been judged" in text_of(page) and "img" not in page.tags


def test_a_figure_that_failed_says_why_and_what_to_run(out):
    outcome = Outcome("3", "failed", "runs/x/level.json: the file must be whole", (), ("paper_repro.py train",), 0.1)
    page = Page(report_html(gather(out, [outcome])))
    assert "runs/x/level.json: the file must be whole" in text_of(page) and "paper_repro.py train" in text_of(page)
    fine = dataclasses.replace(outcome, status="drawn")
    assert "the file must be whole" not in text_of(Page(report_html(gather(out, [fine]))))


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "claims", "claims": [{"id": 3}]}', "\x00"])
def test_records_that_cannot_be_read_are_named_and_cost_only_themselves(out, tmp_path, content):
    for file in ("claims.json", "table1.json", "figures/fig3.json"):
        copy = tmp_path / file.replace("/", "-")
        shutil.copytree(out, copy)
        (copy / file).write_text(content)
        page = Page(report_html(gather(copy, [])))
        check_alone(page)
        assert page.tags.count("img") == len(SOME) - (file == "figures/fig3.json")
        assert file.split("/")[-1] in text_of(page)


def test_nothing_in_a_file_becomes_markup(out, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(out, copy)

    def poison(value):
        if isinstance(value, dict):
            return {key: poison(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [poison(inner) for inner in value]
        kept = r"[a-f0-9]{64}|figure|claims|table1|3|ours|last"  # without these a file is not read further
        return EVIL if isinstance(value, str) and not re.fullmatch(kept, value) else value

    for file in ("claims.json", "table1.json", "figures/fig3.json"):
        document = poison(json.loads((copy / file).read_text()))
        if file == "figures/fig3.json":
            document["studies"] = {EVIL: next(iter(document["studies"].values())) | {"smoke": True}}
        if file == "claims.json":
            document["smoke_runs"] = [EVIL]
        if file == "table1.json":
            document["presets"] = {EVIL: next(iter(document["presets"].values()))}
        (copy / file).write_text(json.dumps(document))
    outcome = Outcome("4", "failed", EVIL, (), (EVIL,), 0.0)
    made = report_html(gather(copy, [outcome]))
    page = Page(made)
    check_alone(page)
    assert page.tags.count("img") == len(drawings(page)) == len(SOME)
    assert b"<script" not in made and b"<img src=x" not in made and "alert(1)" in text_of(page)


def test_a_page_of_a_smoke_run_says_that_it_is_no_evidence_and_how_to_make_some():
    def words_of(smoke, claims=None):
        studies = {"smoke-digits": {"scope": "", "command": "", "arms": {}, "smoke": smoke}}
        neuron = Picture("1", "title", "paper_repro.py figures 1", {"kind": "figure"})
        networks = Picture("3", "title", "paper_repro.py figures 3", {"kind": "figure", "studies": studies})
        return text_of(Page(report_html(Content([neuron, networks], claims, None if claims is None else []))))

    words = words_of(True)
    assert words.count("These results hold a smoke run (smoke-digits).") == 1
    assert "It is no evidence" in words and "results of the neuron are the same in every run" in words
    assert "not been judged: a smoke run never is. paper_repro.py figures runs what can be judged." in words
    assert "smoke run" not in words_of(False) and "not been judged: paper_repro.py claims." in words_of(False)
    assert "These results hold a smoke run (another)." in words_of(False, {"smoke_runs": ["another"]})


def svg(inner: str, extra: str = "") -> bytes:
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {space} {extra} viewBox="0 0 1 1">{inner}</svg>'.encode()


HOSTILE = [
    svg("<script>alert(1)</script><script href='http://example.org/x.js'/>"),
    svg("<g onload='alert(1)'/>"),
    svg(
        "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'><img src='http://example.org/x.png'/></p></foreignObject>"
    ),
    svg("<a xlink:href='http://example.org'><path/></a>"),
    svg("<use xlink:href='http://example.org/other.svg#x'/>"),
    svg("<image xlink:href='http://example.org/x.png'/>"),
    svg("<image xlink:href='javascript:alert(1)'/>"),
    svg("<style>@import url(http://example.org/x.css);</style>"),
    svg("<path style='fill: url(http://example.org/x)'/>"),
    svg("<path style='fill: u\\72l(http://example.org/x)'/>"),
    svg("<animate attributeName='href'/>"),
    svg("", "onload='x' id='words'"),
    b'<?xml-stylesheet href="http://example.org/x.css"?>' + svg(""),
    b'<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("&a;"),
    b'"><script>alert(1)</script>',
    b"<html/>",
    b"not xml \xff\x00",
    b"",
    svg("<g>"),
]


@pytest.mark.parametrize("picture", HOSTILE)
def test_what_a_picture_holds_stays_within_its_image(picture):
    shown = Picture("1", "title", "paper_repro.py figures 1", {"caption": "words", "kind": "figure"}, picture)
    page = Page(report_html(Content([shown])))
    check_alone(page)
    assert drawings(page) == [picture]
    plain = Page(report_html(Content([dataclasses.replace(shown, svg=svg("<path/>"))])))
    assert (page.tags, page.ids, page.words) == (plain.tags, plain.ids, plain.words)


@pytest.mark.parametrize("change", [lambda data: data[: len(data) // 2], lambda data: HOSTILE[0], lambda data: b""])
def test_a_picture_that_was_damaged_or_changed_is_not_shown(out, tmp_path, change):
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    picture = copy / "figures/fig3.svg"
    picture.write_bytes(change(picture.read_bytes()))
    page = Page(report_html(gather(copy, [])))
    check_alone(page)
    assert len(drawings(page)) == len(SOME) - 1 and picture.read_bytes() not in drawings(page)
    assert "fig3.svg is not the picture that its record describes, and is not shown: draw it again" in text_of(page)
    assert "paper_repro.py figures 3" in text_of(page)


def test_a_label_with_quotes_stays_a_label():
    page = Page(report_html(Content([Picture("1", EVIL, "a command", {"caption": EVIL}, svg("<path/>"))])))
    assert page.named("alt") == [f"Figure 1: {EVIL}"] and page.named("aria-describedby") == ["fig1-caption"]
    check_alone(page)


def test_the_claims_document_gives_the_verdicts_back(out, records):
    from figures.claims.registry import evaluate

    document = json.loads((out / "claims.json").read_text())
    again, judged = verdicts_of(document), evaluate(records)
    assert [(v.id, v.verdict, v.control, v.study) for v in again] == [
        (v.id, v.verdict, v.control, v.study) for v in judged
    ]
    assert [row.effect for v in again for row in v.rows] == [row.effect for v in judged for row in v.rows]
    assert sum(map(len, glance(again).values())) == len(judged)


def test_times_are_said_in_units_that_people_use():
    assert [duration(s) for s in (0.5, 119, 130, 8000)] == ["0.5 seconds", "119 seconds", "2.2 minutes", "2.2 hours"]


# --- in a browser, where there is one -------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def browse(tmp_path, page, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", f"--log-net-log={tmp_path / 'net.json'}", "--net-log-capture-mode=Default"]
    done = run([*command, *options, page.as_uri()])
    assert done.returncode == 0, done.stderr[-2000:]
    return done


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_and_prints_the_page_without_errors_or_requests(out, tmp_path, writer):
    target = tmp_path / "site" / "report.html"
    writer(target, report_html(gather(out, [])))
    shot, printed = tmp_path / "page.png", tmp_path / "page.pdf"
    done = browse(tmp_path, target, f"--screenshot={shot}", "--window-size=1100,3000")
    assert "CONSOLE" not in done.stderr, done.stderr
    assert struct.unpack(">II", shot.read_bytes()[16:24]) == (1100, 3000) and shot.stat().st_size > 50_000
    asked = (tmp_path / "net.json").read_text()
    hosts = re.findall(r'"url":"(https?:[^"]*)"', asked)
    assert not [url for url in hosts if "report" in url or "example" in url]
    browse(tmp_path, target, f"--print-to-pdf={printed}")
    assert printed.read_bytes().startswith(b"%PDF") and printed.stat().st_size > 100_000
    seen = Page(browse(tmp_path, target, "--dump-dom").stdout.encode())
    assert seen.tags.count("img") == len(SOME) and set(page_ids(out)) <= set(seen.ids)


def page_ids(out):
    return Page(report_html(gather(out, []))).ids


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_in_a_browser_no_picture_asks_for_anything_or_runs(tmp_path, writer):
    pictures = [Picture(str(i), "title", "a command", {"caption": "words"}, one) for i, one in enumerate(HOSTILE)]
    target = tmp_path / "site" / "report.html"
    writer(target, report_html(Content(pictures)))
    done = browse(tmp_path, target, f"--screenshot={tmp_path / 'page.png'}", "--window-size=1100,9000")
    assert "CONSOLE" not in done.stderr, done.stderr
    assert "example.org" not in (tmp_path / "net.json").read_text()
    plain = browse(tmp_path, target, "--dump-dom").stdout
    assert Page(plain.encode()).tags.count("img") == len(HOSTILE) and "alert(1)" not in plain
