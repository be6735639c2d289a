"""Downloads of published archives, on an explicit command.

This is the only code of the project that uses the network.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from empirics.choices import check_choice
from empirics.data.cifar import ARCHIVES, Archive, check_archive
from empirics.storage.data_files import DataError, replacing

SCHEMES = ("https", "http")
TIMEOUT = 30  # seconds without a byte
BYTES_A_READ = 2**20

Progress = Callable[[str], None]


def fetch(name: str, folder: Path, *, url: str | None = None, progress: Progress = lambda line: None) -> Path:
    """Download the archive of a data set, unless it exists.

    Args:
        name: key of `ARCHIVES`.
        folder: folder for the archive.
        url: a mirror, in place of the published address; the content must still be the published one.
        progress: called with lines of text about the progress.

    Returns:
        The archive, after a check of its size and MD5.

    Raises:
        ConfigError: an unknown archive.
        DataError: another file has the archive's name, or the download is not the archive and was removed.
    """
    return download(ARCHIVES[check_choice(name, ARCHIVES, "archive")], folder, url, progress)


def download(archive: Archive, folder: Path, url: str | None, progress: Progress) -> Path:
    """`fetch`, for an archive whose size and MD5 are known."""
    target = folder / archive.file
    if target.exists():
        check_archive(target, archive)
        return target
    url = url or archive.url
    if urlsplit(url).scheme not in SCHEMES:
        raise DataError(f"cannot download {archive.file} from {url!r}: only http and https addresses are used")
    try:
        with replacing(target) as temporary, open(temporary, "wb") as file, _open(url, archive) as response:
            _receive(response, file, archive, progress)
    except OSError as error:
        raise DataError(
            f"cannot write {archive.file}: {error.strerror}: free disk space or choose another folder"
        ) from None
    return target


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, or within the scheme of the first address."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """The request for the target of a redirect, if its scheme is allowed."""
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise urllib.error.URLError(f"it redirects to {newurl!r}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, archive: Archive) -> BinaryIO:
    """The response of the server, after a check of its size if the server gives one."""
    try:
        response = urllib.request.build_opener(_SameScheme).open(url, timeout=TIMEOUT)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"cannot download {archive.file} from {url}: {reason}") from None
    length = response.headers.get("Content-Length")
    if length not in (None, str(archive.size)):
        response.close()
        raise DataError(f"{url} offers {length} bytes, the published archive has {archive.size}")
    return response


def _receive(response: BinaryIO, file: BinaryIO, archive: Archive, progress: Progress) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    for chunk in _chunks(response, archive):
        size += len(chunk)
        if size > archive.size:
            raise DataError(
                f"the download has more than the {archive.size} bytes of {archive.file}: it is not the published one"
            )
        if 10 * size // archive.size > 10 * (size - len(chunk)) // archive.size:
            progress(f"{archive.file}: {size / 1e6:.0f} of {archive.size / 1e6:.0f} MB")
        digest.update(chunk)
        file.write(chunk)
    if size < archive.size:
        raise DataError(f"the transfer of {archive.file} ended after {size} of {archive.size} bytes: download it again")
    if digest.hexdigest() != archive.md5:
        raise DataError(f"the downloaded {archive.file} has MD5 {digest.hexdigest()}, the published one {archive.md5}")
    file.flush()
    os.fsync(file.fileno())


def _chunks(response: BinaryIO, archive: Archive) -> Iterator[bytes]:
    try:
        while chunk := response.read(BYTES_A_READ):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"the transfer of {archive.file} was interrupted: {error}: download it again") from None
