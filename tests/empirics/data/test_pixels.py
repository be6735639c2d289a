import io
import resource
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from empirics.data import pixels
from empirics.data.images import class_folders
from empirics.data.pixels import cached, check_one_size, decode, read_image
from empirics.storage.data_files import DataError
from empirics.storage.run_folder import StoreError
from tests.empirics.tiny_images import encoded, fill_folder, picture
from tests.support.waiting import LIMIT


@pytest.fixture
def folder(tmp_path):
    return fill_folder(tmp_path / "pictures")


def pixels_of(folder, threads=1):
    images = class_folders(folder).train
    out = np.empty((len(images.labels), 3, 8, 8), np.uint8)
    decode(images, (3, 8, 8), out, threads)
    return out


def bomb() -> bytes:
    """A PNG of some hundred bytes that says it is 60,000 pixels wide and high."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("threads", [1, 3])
def test_every_image_is_decoded_into_its_place(folder, monkeypatch, threads):
    monkeypatch.setattr(pixels, "PIXEL_TASK", 5)
    expected = np.stack([np.asarray(picture(i)).transpose(2, 0, 1) for i in range(12)])
    assert np.array_equal(pixels_of(folder, threads), expected)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_grey_and_other_modes_become_rgb(folder, mode):
    image = picture(3).convert(mode)
    (folder / "train" / "cat" / "000.png").write_bytes(encoded(image))
    assert np.array_equal(pixels_of(folder)[0], np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_a_grey_jpeg_becomes_rgb(folder):
    (folder / "train" / "cat" / "000.png").unlink()
    (folder / "train" / "cat" / "000.JPEG").write_bytes(encoded(Image.new("L", (8, 8), 77), "JPEG"))
    assert (pixels_of(folder)[0] == 77).all()


def gif() -> bytes:
    return encoded(Image.new("P", (8, 8)), "GIF")


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda: encoded(picture(0))[:90], "image train/cat/003.png cannot be read: .+"),
        (lambda: b"", "image train/cat/003.png cannot be read: .+"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "003.png cannot be read: it is neither a JPEG"),
        (gif, "image train/cat/003.png cannot be read: it is neither a JPEG nor a PNG$"),
        (lambda: encoded(Image.fromarray(np.zeros((8, 8), np.uint16))), "003.png has more than 8 bits a channel"),
        (lambda: encoded(picture(0, 9, 8)), "003.png is 9x8, the first is 8x8: .*--image-size N streams and resizes"),
        (bomb, "003.png cannot be read: Image size .* decompression bomb"),
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_an_unreadable_image_is_refused_with_its_name(folder, content, message, threads):
    (folder / "train" / "cat" / "003.png").write_bytes(content())
    with pytest.raises(DataError, match=message):
        pixels_of(folder, threads)
    assert [t.name for t in threading.enumerate() if "ThreadPool" in t.name] == []


def test_images_above_the_limit_are_not_decoded(folder, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_PIXELS", 63)
    with pytest.raises(DataError, match="train/cat/000.png is 8x8: more than 63 pixels"):
        read_image(class_folders(folder).train, 0)


def test_the_first_image_of_every_class_and_split_is_looked_at(folder):
    assert check_one_size(class_folders(folder)) == (3, 8, 8)
    (folder / "train" / "owl" / "009.png").write_bytes(b"not the first")
    check_one_size(class_folders(folder))
    (folder / "test" / "owl" / "016.png").write_bytes(encoded(picture(0, 8, 9)))
    with pytest.raises(DataError, match="test/owl/016.png is 8x9, the first is 8x8"):
        check_one_size(class_folders(folder))


def fill_with(value):
    def fill(out):
        out[:] = value

    return fill


def untouched(out):
    raise AssertionError("made anew")


def test_a_cached_array_is_mapped_and_keeps_what_others_change_apart(tmp_path):
    file = tmp_path / "new" / "a.npy"
    made = cached(file, (5, 7), fill_with(9))
    found = cached(file, (5, 7), untouched)
    assert isinstance(found, np.memmap) and (made == 9).all() and found.shape == (5, 7)
    found[0] = 1
    assert (cached(file, (5, 7), untouched) == 9).all()
    assert sorted(p.name for p in file.parent.iterdir()) == ["a.npy", "a.sha256"]
    assert np.array_equal(np.load(file, allow_pickle=False), made)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: np.save(file, np.zeros((5, 7), np.uint8)),
        lambda file: file.write_bytes(b"torn"),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.unlink(),
        lambda file: file.with_suffix(".sha256").unlink(),
        lambda file: file.with_suffix(".sha256").write_text("0" * 64),
    ],
)
def test_a_damaged_cache_is_made_anew(tmp_path, damage):
    file = tmp_path / "a.npy"
    cached(file, (5, 7), fill_with(9))
    damage(file)
    assert (cached(file, (5, 7), fill_with(9)) == 9).all()
    assert (cached(file, (5, 7), untouched) == 9).all()


def test_a_cache_of_another_shape_is_made_anew(tmp_path):
    cached(tmp_path / "a.npy", (5, 7), fill_with(9))
    assert cached(tmp_path / "a.npy", (7, 5), fill_with(9)).shape == (7, 5)


def test_an_error_while_a_cache_is_filled_leaves_nothing(tmp_path):
    with pytest.raises(AssertionError, match="made anew"):
        cached(tmp_path / "a.npy", (5, 7), untouched)
    assert list(tmp_path.iterdir()) == []


def test_two_that_make_one_cache_at_once_both_get_it_whole(tmp_path):
    together, found = threading.Barrier(2), []

    def fill(out):
        together.wait(LIMIT)
        out[:] = 9
        together.wait(LIMIT)

    work = lambda: found.append(cached(tmp_path / "a.npy", (300, 70), fill))  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and all((array == 9).all() for array in found)
    assert (cached(tmp_path / "a.npy", (300, 70), untouched) == 9).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "a.sha256"]


def test_a_full_disk_is_an_error_and_not_a_crash(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(StoreError, match="cannot write a.npy to the cache: .*: free disk space"):
            cached(tmp_path / "a.npy", (100, 100), fill_with(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_reading_an_image_loads_it_whole():
    data = encoded(picture(1))

    class One:
        def read(self, place):
            return data

        def where(self, place):
            return "one"

    assert np.array_equal(np.asarray(read_image(One(), 0)), np.asarray(Image.open(io.BytesIO(data))))
