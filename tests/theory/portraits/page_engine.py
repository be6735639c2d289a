"""What runs the page of the phase planes in tests: its script alone in Node, and the whole page in a browser.

Either is looked for on this machine, and what needs it is skipped where it is missing.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "no browser: install Debian's chromium, or any that playwright drives"


def script_of(html: str) -> str:
    """The page's one script."""
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    return script


def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser() -> Iterator[Any]:
    """A headless browser, without a network."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = browser_path()
    if found is None:
        pytest.skip(NO_BROWSER)
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def script_runner(html: str, folder: Path) -> Iterator[Callable[..., Any]]:
    """A function (body, data) that runs the body of a JavaScript function of `explorer` and `data`.

    It runs in Node, or in a browser where there is no Node.
    """
    node = shutil.which("node")
    if node is not None:
        yield lambda body, data=None: _in_node(node, script_of(html), body, data, folder)
        return
    page_file = folder / "page.html"
    page_file.write_text(html, encoding="utf-8")
    with browser() as opened:
        page = opened.new_page()
        page.goto(page_file.as_uri())
        yield lambda body, data=None: json.loads(page.evaluate(_called(body), json.dumps(data)))


def _called(body: str) -> str:
    return f"(text) => JSON.stringify(((explorer, data) => {{{body}}})(globalThis.explorer, JSON.parse(text)))"


def _in_node(node: str, script: str, body: str, data: Any, folder: Path) -> Any:
    file, given = folder / "script.js", folder / "data.json"
    given.write_text(json.dumps(data), encoding="utf-8")
    text = f"require('fs').readFileSync({json.dumps(str(given))}, 'utf8')"
    file.write_text(f"{script}\nprocess.stdout.write(({_called(body)})({text}));", encoding="utf-8")
    done = run([node, str(file)], seconds=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
