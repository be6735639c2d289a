"""The page in a headless browser without a network: clicks, drags, keys, sliders, the story, sharing, and the frame."""

import re
import sys

import pytest

import theory
from tests import ROOT
from tests.support.processes import run
from tests.support.waiting import wait_for
from tests.theory.portraits.page_engine import browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return theory.explore().save(tmp_path_factory.mktemp("page") / "explore.html")


@pytest.fixture(scope="module")
def opened():
    with browser() as found:
        yield found


class Page:
    """An open page, and what it has asked for and complained of."""

    def __init__(self, opened, address, **options):
        self.context = opened.new_context(**{"viewport": {"width": 1400, "height": 1000}, "offline": True, **options})
        self.page, self.requests, self.problems = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))
        self.page.set_default_timeout(120_000)
        self.page.goto(address)
        self.settle()

    def settle(self):
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def state(self, key):
        return self.page.evaluate("(key) => explorer.app.state[key]", key)

    def pixel(self, x, y):
        """Where a point of the plane is on the screen."""
        box = self.page.locator("#plot").bounding_box()
        return self.page.evaluate(
            """([x, y, left, top, width, height]) => {
              const { state, plane } = explorer.app, view = explorer.viewOf(state.box || plane.home, width, height);
              return [left + view.X(x), top + view.Y(y)];
            }""",
            [x, y, box["x"], box["y"], box["width"], box["height"]],
        )

    def click(self, x, y):
        self.page.mouse.click(*self.pixel(x, y))
        self.settle()

    def press(self, *keys):
        self.page.focus("#plot")
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def slide(self, key, value):
        self.page.evaluate(
            """([id, value]) => {
              const range = document.getElementById(id);
              range.value = value;
              range.dispatchEvent(new Event("input"));
              range.dispatchEvent(new Event("change"));
            }""",
            [f"range-{key}", value],
        )
        self.settle()

    def text(self, selector):
        return self.page.inner_text(selector)


@pytest.fixture
def on(opened, file):
    pages = []

    def load(state="", **options):
        pages.append(Page(opened, file.as_uri() + (f"#{state}" if state else ""), **options))
        return pages[-1]

    yield load
    for page in pages:
        assert page.problems == []
        assert [url.split("#")[0] for url in page.requests if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
        page.context.close()


def test_clicks_start_trajectories_and_drags_move_them(on):
    page = on()
    page.click(0.9, 1.2)
    page.click(-0.9, -1.2)
    assert [verdict for verdict in page.page.evaluate("explorer.app.paths.map((path) => path.verdict)")] == [
        "learns",
        "fails",
    ]
    assert "Start 2" in page.text("#verdict") and "fails" in page.text("#verdict")
    x, y = page.pixel(-0.9, -1.2)
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    for step in range(1, 6):
        page.page.mouse.move(*page.pixel(-0.9, -1.2 + 0.5 * step))
    page.page.mouse.up()
    page.settle()
    a, w = page.state("starts")[1]
    assert a == pytest.approx(-0.9, abs=0.02) and w == pytest.approx(1.3, abs=0.02)
    assert page.page.evaluate("explorer.app.paths[1].verdict") == "learns" and "learns" in page.text("#verdict")
    page.press("u")
    assert page.state("starts")[1][1] == pytest.approx(-1.2, abs=0.02)
    page.page.click("#clear")
    assert page.state("starts") == []
    page.page.click("#undo")
    assert len(page.state("starts")) == 2


def test_a_click_near_balance_is_balanced_exactly_and_the_separatrix_is_named(on):
    page = on()
    page.click(-1.003, 1.0)
    a, w = page.state("starts")[0]
    assert a == -w and "separatrix" in page.text("#verdict")
    page.page.uncheck("#snap")
    page.click(-1.503, 1.5)
    a, w = page.state("starts")[1]
    assert a != -w


def test_panning_zooming_and_typed_ranges(on):
    page = on()
    x, y = page.pixel(0.3, -0.6)
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 60, y, steps=4)
    page.page.mouse.up()
    page.settle()
    box = page.state("box")
    assert box[0] < -2.1 and box[1] - box[0] == pytest.approx(4, rel=1e-4) and page.state("starts") == []
    page.page.click("#zoom-in")
    assert page.state("box")[1] - page.state("box")[0] == pytest.approx(3.2, rel=1e-3)
    page.page.fill("#range0", "-1")
    page.page.keyboard.press("Enter")
    assert page.state("box")[0] == -1
    page.page.fill("#range1", "-5")
    page.page.keyboard.press("Enter")
    assert page.state("box")[1] > -1 and "smaller number" in page.text("#verdict")
    page.page.click("#home")
    assert page.state("box") is None


def test_sliders_redraw_and_typed_numbers_are_cut_to_their_range(on):
    page = on("starts=-0.6,1.5")
    before = page.page.evaluate("explorer.app.paths[0].at(1).a")
    page.slide("p", 2)
    assert page.state("p") == 2 and page.page.evaluate("explorer.app.paths[0].at(1).a") != before
    page.page.fill("#number-p", "99")
    page.page.keyboard.press("Enter")
    assert page.state("p") == 4
    page.slide("balance", 1.5)
    a, w = page.state("starts")[0]
    assert a * a - w * w == pytest.approx(1.5) and a < 0 < w
    page.slide("scale", 0.5)
    assert sum(x * x for x in page.state("starts")[0]) == pytest.approx(0.25)
    page.slide("n", 100)
    page.slide("noise", 0.5)
    assert "100 samples" in page.text("#about") and "k-" in page.text("#about")
    page.page.check("#gd")
    assert "steps" in page.text("#starts")


def test_everything_can_be_done_with_keys(on):
    page = on()
    page.press("ArrowRight", "Shift+ArrowUp", "Enter")
    assert len(page.state("starts")) == 1 and page.state("starts")[0][0] == pytest.approx(0.08)
    page.press("Shift+Alt+ArrowRight")
    assert page.state("starts")[0][0] == pytest.approx(0.16)
    page.press("g")
    assert len(page.state("starts")) == 36 and "36 trajectories" in page.text("#verdict")
    page.press("]", "c", "b", "+", "Alt+ArrowLeft")
    assert page.state("selected") == 1 and page.state("t") == 40 and page.state("back") and page.state("box")[0] < -1.6
    page.press("0", "Delete", "x")
    assert page.state("box") is None and page.state("starts") == []
    page.press("u")
    assert len(page.state("starts")) == 35


def test_play_moves_the_clock_and_reduced_motion_does_not_animate(on):
    page = on("starts=-0.6,1.5&speed=8")
    page.page.click("#play")
    wait_for(lambda: page.text("#now") != "t = 0", "the clock moves")
    wait_for(lambda: page.text("#play") == "Play", "the end of the play")
    assert page.text("#now") == "t = 20"
    still = on("starts=-0.6,1.5", reduced_motion="reduce")
    still.page.click("#play")
    assert still.text("#now") == "t = 20" and "reduced" in still.text("#verdict")


@pytest.mark.parametrize(
    ("start", "learn"),
    [
        ("st=130&sr=1", {"lrr", "sign"}),
        ("st=50&sr=1", {"imp", "lrr", "sign", "magnitude"}),
        ("ssign=minus&st=130", set()),
    ],
)
def test_the_story_ends_in_the_right_verdicts(on, start, learn):
    page = on(start)
    for step in range(1, 5):
        page.page.click(f'[data-step="{step}"]')
        page.settle()
    found = {rule: page.text(f'[data-rule="{rule}"]') for rule in ("imp", "lrr", "sign", "magnitude")}
    assert {rule for rule, verdict in found.items() if verdict == "learns"} == learn
    assert page.page.locator("#panels4 figure").count() == 5
    page.page.click("#draw")
    assert "Drawn from" in page.text("#told") and page.state("step") == 0


def test_hypotheses_and_their_numbers_follow_the_cursor(on):
    page = on()
    page.press("ArrowRight", "Shift+ArrowUp")
    assert "Theorem 2.1" in page.text("#hypotheses") and "a + w = 0.48" in page.text("#hypotheses")
    page.page.select_option("#plane", "balanced")
    page.page.mouse.move(*page.pixel(1.0, 2.0))
    page.settle()
    text = page.text("#hypotheses")
    assert "Lemma 2.2: it learns" in text and "IMP fails" in text and "LRR learns" in text


def test_the_map_counts_disagreements_with_a_false_boundary_alone(on):
    page = on("cells=12")
    page.page.click("#map")
    wait_for(lambda: page.text("#fates").startswith("144 cells"), "the map")
    assert " 0 disagree with “the theorem”" in page.text("#fates")
    page.page.select_option("#edge", "1")
    wait_for(lambda: "false:" in page.text("#fates"), "the other boundary")
    assert int(re.search(r"(\d+) disagree", page.text("#fates"))[1]) > 0


def test_the_sampler_runs_beside_the_exact_probabilities(on):
    page = on()
    page.page.select_option("#init", "bounded")
    page.page.click("#sample")
    wait_for(lambda: page.page.evaluate("explorer.app.sampled.n") >= 2000, "random starts")
    page.page.click("#sample")
    table = page.text("#shares")
    assert "0.3147" in table and "1.0000" in table and "bounded starts" in table


def test_the_state_is_in_the_address_and_hostile_addresses_do_nothing(on):
    page = on("plane=slice&c=-0.8&starts=-1.5,2")
    page.click(0.5, 1.0)
    wait_for(lambda: page.page.evaluate("location.hash.split('starts=')[1]?.split(';').length") == 2, "the address")
    again = on(page.page.evaluate("location.hash.slice(1)"))
    assert again.state("starts") == page.state("starts") and again.state("c") == -0.8
    hostile = [
        "plane=%3Cimg%20src=x%20onerror=alert(1)%3E&starts=%3Cscript%3Ealert(1)%3C/script%3E",
        "starts=1,1;javascript:alert(1),2&p=1e400&t=-3&box=0,0,0,0&__proto__=x",
        "x=" + "A" * 100_000,
    ]
    for text in hostile:
        bad = on(text)
        assert bad.page.evaluate("document.querySelectorAll('img, script, iframe, object').length") == 1
        assert 0.05 <= bad.state("p") <= 4 and bad.state("plane") == "line"
    blocked = on()
    blocked.page.evaluate(
        """() => { const made = document.createElement("script"); made.textContent = "window.ran = true";
        document.body.append(made); }"""
    )
    assert blocked.page.evaluate("window.ran === undefined")
    assert any("Content Security Policy" in problem for problem in blocked.problems)
    blocked.problems.clear()


def test_pictures_and_numbers_are_saved(on, tmp_path):
    page = on("starts=-0.6,1.5;0.7,-1.2")
    sizes = {}
    for button, name in (("#svg", "neuron.svg"), ("#png", "neuron.png"), ("#csv", "neuron.csv")):
        with page.page.expect_download() as saved:
            page.page.click(button)
        assert saved.value.suggested_filename == name
        saved.value.save_as(tmp_path / name)
        sizes[name] = (tmp_path / name).read_bytes()
    assert sizes["neuron.svg"].startswith(b"<svg") and b"<script" not in sizes["neuron.svg"]
    assert sizes["neuron.png"].startswith(b"\x89PNG") and len(sizes["neuron.png"]) > 20_000
    assert len(sizes["neuron.csv"].splitlines()) == 1 + 2 * 201
    assert page.page.evaluate("document.getElementById('python').value").startswith("import numpy")


def test_it_works_in_a_notebooks_frame(opened, tmp_path):
    host = tmp_path / "notebook.html"
    shown = theory.explore("balanced", starts=[(1.0, [-0.6, 0.8])])._repr_html_()
    host.write_text(f"<!DOCTYPE html><title>notebook</title>{shown}", encoding="utf-8")
    page = opened.new_context(offline=True, viewport={"width": 1200, "height": 950}).new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(host.as_uri())
    frame = page.frames[1]
    frame.wait_for_selector("#verdict")
    wait_for(lambda: "learns" in frame.inner_text("#verdict"), "the verdict in the frame")
    assert frame.evaluate("(() => { try { return parent.document.title; } catch { return 'closed'; } })()") == "closed"
    frame.click("#continue")
    wait_for(lambda: "t=40" in frame.input_value("#address"), "the state as text")
    assert "theory.phase_plane" in frame.input_value("#python")
    with page.expect_download() as saved:
        frame.click("#svg")
    assert saved.value.suggested_filename == "neuron.svg"
    assert problems == []
    page.context.close()


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_narrow_and_wide_screens_in_light_and_dark(on, width, scheme, tmp_path):
    page = on(
        "plane=slice&c=-0.8&starts=-1.5,2;0.5,1&step=4", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(*colours) > 7
    assert page.page.evaluate("document.getElementById('plot').clientWidth") > 0.4 * min(width, 900)
    shown = page.page.locator("#plot").screenshot()
    assert len(shown) > 10_000, "not blank"


def contrast(one, other):
    """The contrast ratio of two colours, by WCAG."""

    def luminance(text):
        parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_labels_roles_and_live_regions_are_there(on):
    page = on("starts=-0.6,1.5")
    unnamed = page.page.evaluate(
        """[...document.querySelectorAll("input, select, textarea, button")].filter((one) => {
          const named = one.closest("label") || one.labels?.length || one.getAttribute("aria-label");
          return !named && !one.textContent.trim();
        }).map((one) => one.id)"""
    )
    assert unnamed == []
    assert page.page.locator("[aria-live=polite]").count() >= 4


def test_first_paint_and_redraw_are_quick_on_the_main_thread(opened, file):
    """In processor time of the page's own thread, which does not depend on what else this machine does."""
    context = opened.new_context(viewport={"width": 1400, "height": 1000}, offline=True)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return found["TaskDuration"]

    frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    before = spent()
    page.goto(file.as_uri() + "#starts=-0.6,1.5;0.7,-1.2")
    page.evaluate(frames)
    assert spent() - before < 1.0
    costs = []
    for k in range(60):
        start = spent()
        page.evaluate(
            f"""(value) => {{
              const range = document.getElementById("range-p");
              range.value = value;
              range.dispatchEvent(new Event("input"));
              return {frames};
            }}""",
            0.3 + 0.01 * k,
        )
        costs.append(1000 * (spent() - start))
    assert sorted(costs)[int(0.95 * len(costs))] < 16
    context.close()


def test_the_command_writes_the_page_and_says_where(tmp_path):
    done = run([sys.executable, str(ROOT / "paper_repro.py"), "explore", "--out", str(tmp_path / "new")], cwd=tmp_path)
    assert done.returncode == 0 and "explore.html" in done.stderr
    assert (tmp_path / "new/explore.html").read_text(encoding="utf-8") == theory.explore().html
    (tmp_path / "taken").write_text("a file")
    done = run(
        [sys.executable, str(ROOT / "paper_repro.py"), "explore", "--out", str(tmp_path / "taken")], cwd=tmp_path
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
