import hashlib
import resource
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from empirics.choices import ConfigError
from empirics.data import download as fetching
from empirics.data.cifar import ARCHIVES, Archive
from empirics.data.download import fetch
from empirics.storage.data_files import DataError

CONTENT = bytes(range(256)) * 40
NAME = "cifar10"


class Server(BaseHTTPRequestHandler):
    """Answers by path, well or badly."""

    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        body, length = CONTENT, None
        if self.path == "/missing":
            return self.send_error(404)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            return self.end_headers()
        if self.path == "/wrong":
            body = CONTENT[:-1] + b"x"
        if self.path in ("/more", "/more-unsaid"):
            body = CONTENT + b"x"
        if self.path in ("/short", "/short-unsaid"):
            body = CONTENT[:-1]
        if self.path == "/closed":
            body, length = CONTENT[:3000], len(CONTENT)
        self.send_response(200)
        if not self.path.endswith("unsaid"):
            self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def url(monkeypatch):
    monkeypatch.setattr(fetching, "BYTES_A_READ", 1000)
    monkeypatch.setenv("no_proxy", "*")
    Server.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        facts = Archive(NAME, "x.tar.gz", f"{address}/right", len(CONTENT), hashlib.md5(CONTENT).hexdigest())
        monkeypatch.setitem(ARCHIVES, NAME, facts)
        yield address
        server.shutdown()
        thread.join()


def test_the_published_file_is_put_in_place_and_not_fetched_twice(url, tmp_path):
    told = []
    file = fetch(NAME, tmp_path / "new", progress=told.append)
    assert file == tmp_path / "new" / "x.tar.gz" and file.read_bytes() == CONTENT
    assert len(told) == 10 and told[-1] == "x.tar.gz: 0 of 0 MB"
    assert fetch(NAME, tmp_path / "new") == file
    assert Server.asked == ["/right"] and list((tmp_path / "new").iterdir()) == [file]


def test_a_redirect_within_the_scheme_is_followed(url, tmp_path):
    assert fetch(NAME, tmp_path, url=f"{url}/to/{url}/right").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "path, message",
    [
        ("/wrong", "the downloaded x.tar.gz has MD5 .*, the published one"),
        ("/more", "offers 10241 bytes, the published archive has 10240"),
        ("/more-unsaid", "more than the 10240 bytes of x.tar.gz"),
        ("/short", "offers 10239 bytes"),
        ("/short-unsaid", "ended after 10239 of 10240 bytes: download it again"),
        ("/closed", "of x.tar.gz (ended after 3000 of 10240 bytes|was interrupted)"),
        ("/missing", "cannot download x.tar.gz from .*/missing: Not Found"),
        ("/to/file:///etc/passwd", "cannot download x.tar.gz from .*file:///etc/passwd.*not (followed|allowed)"),
        ("/to/ftp://127.0.0.1/x", "ftp://127.0.0.1/x.*not followed"),
    ],
)
def test_whatever_else_comes_is_refused_and_leaves_nothing(url, tmp_path, path, message):
    with pytest.raises(DataError, match=message):
        fetch(NAME, tmp_path / "data", url=url + path)
    assert list(tmp_path.rglob("*.*")) == []


def test_too_many_bytes_are_not_waited_for(url, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(fetching, "_chunks", lambda *a: (written.append(i) or bytes(4000) for i in range(10**9)))
    with pytest.raises(DataError, match="the download has more than"):
        fetch(NAME, tmp_path)
    assert written == [0, 1, 2] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "data:,x"])
def test_only_web_addresses_are_opened(url, tmp_path, scheme):
    with pytest.raises(DataError, match="only http and https"):
        fetch(NAME, tmp_path, url=scheme)


def test_a_server_that_is_not_there_is_named(url, tmp_path):
    with pytest.raises(DataError, match="cannot download x.tar.gz from http://127.0.0.1:1/x: .*refused"):
        fetch(NAME, tmp_path, url="http://127.0.0.1:1/x")


def test_a_silent_server_is_given_up(url, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "TIMEOUT", 0.1)
    given_up = threading.Event()
    monkeypatch.setattr(Server, "do_GET", lambda self: given_up.wait())
    with pytest.raises(DataError, match="cannot download x.tar.gz .* timed out"):
        fetch(NAME, tmp_path)
    given_up.set()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(url, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(DataError, match="cannot write x.tar.gz: .*: free disk space"):
            fetch(NAME, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write x.tar.gz"):
        fetch(NAME, tmp_path / "file")


def test_a_damaged_file_in_its_place_is_refused_and_kept(url, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match="x.tar.gz has 4 bytes, the published archive 10240: delete it and run"):
        fetch(NAME, tmp_path)
    assert (tmp_path / "x.tar.gz").read_bytes() == b"mine" and Server.asked == []


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(ConfigError, match="unknown archive 'cifar-10': did you mean 'cifar10'"):
        fetch("cifar-10", tmp_path)
