import io
import os
import shutil
import tarfile

import numpy as np
import pytest

from empirics.data import shards
from empirics.data.images import class_folders, sizes_hash
from empirics.storage.data_files import DataError
from tests.empirics.tiny_images import encoded, fill_folder, fill_shard, picture, shards_of


def sample(key, label, number=0):
    return [(f"{key}.jpg", encoded(picture(number), "JPEG")), (f"{key}.cls", str(label).encode())]


@pytest.fixture
def pair(tmp_path):
    """A shard for each split, of two classes."""
    fill_shard(tmp_path / "s" / "x-train-0.tar", [m for i in range(4) for m in sample(f"a/{i}", i % 2, i)])
    fill_shard(tmp_path / "s" / "x-val-0.tar", [m for i in range(2) for m in sample(f"b/{i}", i, 7 + i)])
    return tmp_path / "s"


@pytest.fixture
def folder(tmp_path):
    """The images of three class folders, and the same as shards."""
    images = class_folders(fill_folder(tmp_path / "pictures", kind="JPEG"))
    for split, part in (("train", images.train), ("val", images.test)):
        shards_of(part, tmp_path / "shards", split, 5)
    return tmp_path


def test_an_image_of_a_shard_is_the_bytes_and_the_class_that_went_in(folder):
    found, expected = shards.find(folder / "shards"), class_folders(folder / "pictures")
    for split in ("train", "test"):
        a, b = getattr(found, split), getattr(expected, split)
        assert a.labels.tolist() == b.labels.tolist() and a.labels.dtype == np.int64
        assert [a.read(i) for i in range(len(a.labels))] == [b.read(i) for i in range(len(b.labels))]
    assert found.train.shards == [f"x-train-{i:04d}.tar" for i in (0, 5, 10)]
    assert found.train.where(7) == "x-train-0005.tar: s/00007" and found.classes == ["0", "1", "2"]


@pytest.mark.parametrize("to", [lambda s: s, lambda s: s + "idation"])
def test_shards_are_told_apart_by_their_names_or_folders(pair, to):
    names = shards.shard_names(pair)
    assert names == {"train": ["x-train-0.tar"], "val": ["x-val-0.tar"]}
    (pair / "x-val-0.tar").rename(pair / f"X-{to('VAL')}-0.tar")
    (pair / "train").mkdir()
    (pair / "x-train-0.tar").rename(pair / "train" / "000.tar")
    assert shards.shard_names(pair) == {"train": ["train/000.tar"], "val": [f"X-{to('VAL')}-0.tar"]}


def test_suffixes_in_any_case_and_other_members_are_no_matter(pair):
    files = [("c/0.JPEG", b"x"), ("c/0.cls", b" 1\n"), ("c/0.json", b"{}"), ("c/0.seg.png", b"y"), ("readme", b"")]
    fill_shard(pair / "y-train-1.tar", files)
    train = shards.find(pair).train
    assert (train.labels[-1], train.read(4), train.where(4)) == (1, b"x", "y-train-1.tar: c/0")


@pytest.mark.parametrize(
    "name, kind", [("../canary.jpg", tarfile.SYMTYPE), ("/canary.cls", tarfile.LNKTYPE), ("p.png", tarfile.FIFOTYPE)]
)
def test_an_image_or_class_that_is_a_link_or_a_device_is_refused_and_never_left_out(pair, name, kind):
    with tarfile.open(pair / "y-train-1.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DataError, match=f"shard y-train-1.tar: '{name}' is a link, or not a regular file"):
        shards.find(pair)


def test_other_links_and_devices_are_ignored_and_nothing_is_written(pair, tmp_path):
    with tarfile.open(pair / "y-train-1.tar", "w") as tar:
        for name, kind in (("../canary", tarfile.SYMTYPE), ("/canary.md", tarfile.LNKTYPE), ("p", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for name, content in sample("../../escaped", 0):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    before = sorted(tmp_path.rglob("*"))
    train = shards.find(pair).train
    assert len(train.labels) == 5 and train.read(4) == sample("", 0)[0][1]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sparse_member_is_refused(pair):
    """Its bytes in the shard are not those of the file."""
    with tarfile.open(pair / "y-train.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("k.jpg")
        info.size, info.pax_headers = 2, {"GNU.sparse.map": "0,1,50,1", "GNU.sparse.size": "51"}
        tar.addfile(info, io.BytesIO(b"xy"))
        info = tarfile.TarInfo("k.cls")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"0"))
    with pytest.raises(DataError, match="'k.jpg' is a link, or not a regular file"):
        shards.find(pair)


@pytest.mark.parametrize(
    "members, message",
    [
        (sample("k", 0)[:1], r"shard y-train.tar: sample 'k' has no class \(.cls\)"),
        (sample("k", 0)[1:], "shard y-train.tar: sample 'k' has no image"),
        (sample("k", 0) * 2, "shard y-train.tar holds 'k.jpg' twice"),
        (sample("k", 0) + [("k.png", b"")], "y-train.tar: sample 'k' has two images, 'k.jpg' and 'k.png': remove one"),
        (sample("k", 0) + [("k.JPG", b"")], "y-train.tar: sample 'k' has two images, 'k.jpg' and 'k.JPG': remove one"),
        (sample("k", "x"), "y-train.tar: 'k.cls' contains b'x', expected a class from 0"),
        (sample("k", "-1"), "'k.cls' contains b'-1'"),
        (sample("k", ""), "'k.cls' contains b''"),
        (sample("k", "1.0"), r"'k.cls' contains b'1\.0'"),
        (sample("k", "1_0"), "'k.cls' contains b'1_0'"),
        (sample("k", 100_000), "'k.cls' contains b'100000'"),
        (sample("k", "1" + " " * 16), r"'k.cls' contains b'\.\.\.'"),
        (sample("k", 7), "class '2' has no image in test: classes are numbered from 0 without gaps"),
    ],
)
def test_an_incomplete_sample_is_refused_with_its_shard_and_key(pair, members, message):
    fill_shard(pair / "y-train.tar", members)
    with pytest.raises(DataError, match=message):
        shards.find(pair)


def damaged_header(data):
    at = 2 * 1024  # the header of the third member: each of the first two takes a block of header and one of content
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        damaged_header,
        lambda data: data[:4096],  # between two members
        lambda data: data[:4100],
        lambda data: data[:3600],  # within the last one
        lambda data: b"",
        lambda data: b"not a tar" * 100,
    ],
)
def test_a_damaged_or_cut_shard_is_refused_with_its_name(pair, damage):
    small = [(f"{i}.{kind}", b"1") for i in range(2) for kind in ("jpg", "cls")]
    file = fill_shard(pair / "y-train.tar", small)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match="shard y-train.tar (is damaged or cut short|cannot be read)"):
        shards.find(pair)


def test_large_images_and_too_many_samples_are_refused(pair, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shards, "MAX_IMAGE_BYTES", 50)
        with pytest.raises(DataError, match=r"x-train-0.tar: image 'a/0' has \d+ bytes, more than 50"):
            shards.find(pair)
    monkeypatch.setattr(shards, "MAX_SAMPLES", 3)
    with pytest.raises(DataError, match="'s' holds more than 3 samples"):
        shards.find(pair)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: (f / "x-val-0.tar").unlink(), "'s' has no shard of split 'val': expected"),
        (lambda f: (f / "x-train-0.tar").unlink(), "'s' has no shard of split 'train': expected"),
        (lambda f: (f / "x-val-0.tar").rename(f / "train-val.tar"), "shard 'train-val.tar' names both splits"),
        (lambda f: fill_shard(f / "x-val-0.tar", sample("k", 1)), "class '0' has no image in test"),
    ],
)
def test_a_missing_split_or_class_is_named(pair, damage, message):
    damage(pair)
    with pytest.raises(DataError, match=message):
        shards.find(pair)


def test_a_shard_that_changes_under_its_index_is_named(pair):
    train = shards.find(pair).train
    (pair / "x-train-0.tar").write_bytes(b"")
    with pytest.raises(DataError, match="x-train-0.tar: a/0 is cut short: 0 of"):
        train.read(0)
    (pair / "x-train-0.tar").unlink()
    with pytest.raises(DataError, match="x-train-0.tar: a/1 cannot be read: No such file"):
        train.read(1)


def test_the_index_is_kept_until_a_shard_changes(pair, tmp_path, monkeypatch):
    kept = tmp_path / "cache"
    made = shards.find(pair, kept)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "index", None)
        found = shards.find(pair, kept)
    for name in shards.INDEX_COLUMNS:
        assert np.array_equal(getattr(found.train, name), getattr(made.train, name))
    for file in kept.iterdir():
        file.write_bytes(file.read_bytes()[:-200])
    assert shards.find(pair, kept).train.read(3) == made.train.read(3)
    fill_shard(pair / "x-train-0.tar", [*sample("z", 1), *sample("y", 0)])
    assert shards.find(pair, kept).train.keys.tolist() == [b"z", b"y"]
    size = (pair / "x-train-0.tar").stat().st_size
    fill_shard(pair / "x-train-0.tar", [*sample("a", 1), *sample("b", 0)])
    os.utime(pair / "x-train-0.tar", (1, 1))
    assert (pair / "x-train-0.tar").stat().st_size == size
    assert shards.find(pair, kept).train.keys.tolist() == [b"a", b"b"]


def test_the_hash_of_shards_follows_names_keys_sizes_and_classes(pair):
    before = sizes_hash(shards.find(pair))
    seen = {before}
    for members in (sample("a", 0) + sample("b", 1), sample("a", 1) + sample("b", 0), sample("a", 0) + sample("c", 1)):
        fill_shard(pair / "x-train-0.tar", members)
        seen.add(sizes_hash(shards.find(pair)))
    shutil.move(pair / "x-train-0.tar", pair / "z-train.tar")
    seen.add(sizes_hash(shards.find(pair)))
    assert len(seen) == 5
    fill_shard(pair / "z-train.tar", sample("a", 0) + sample("c", 1))
    assert sizes_hash(shards.find(pair)) in seen
