import shutil

import numpy as np
import pytest

from empirics.data import images as image_files
from empirics.data import tiny_imagenet
from empirics.data.images import bytes_hash, class_folders, sizes_hash
from empirics.storage.data_files import DataError, printable
from tests.empirics.tiny_images import CLASSES, encoded, fill_folder, picture


@pytest.fixture
def folder(tmp_path):
    return fill_folder(tmp_path / "pictures")


@pytest.fixture
def native(tmp_path):
    """Tiny ImageNet's layout: the classes of wnids.txt out of order, two images a class in val."""
    folder = tmp_path / "tiny"
    lines = []
    for label, wnid in enumerate(("n02", "n01", "n03")):
        for i in range(3):
            path = folder / "train" / wnid / "images" / f"{wnid}_{i}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture(10 * label + i), "JPEG"))
        for i in range(2):
            path = folder / "val" / "images" / f"val_{3 * i + label}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture(50 + 10 * label + i), "JPEG"))
            lines.append(f"{path.name}\t{wnid}\t0\t0\t7\t7\n")
    (folder / "wnids.txt").write_text("n02\nn01\nn03\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(sorted(lines)))
    return folder


def test_images_of_a_folder_are_in_the_order_of_class_and_name(folder):
    images = class_folders(folder)
    assert images.classes == list(CLASSES)
    assert images.train.names == [f"train/{CLASSES[i // 4]}/{i:03d}.png" for i in range(12)]
    assert images.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4 and images.test.labels.tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert images.train.labels.dtype == np.int64
    assert images.train.read(5) == (folder / images.train.names[5]).read_bytes()


def test_val_stands_for_a_missing_test_and_gives_way_to_one(folder):
    test = class_folders(folder).test.names
    shutil.copytree(folder / "test", folder / "val")
    assert class_folders(folder).test.names == test
    shutil.rmtree(folder / "test")
    assert class_folders(folder).test.names == [name.replace("test", "val") for name in test]


def test_hidden_folders_empty_folders_and_notes_are_no_data(folder):
    before = bytes_hash(class_folders(folder)), sizes_hash(class_folders(folder))
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "README").write_bytes(b"x")
    (folder / "train" / "cat" / "empty").mkdir()
    (folder / "train" / "cat" / "._001.png").write_bytes(b"x")
    for name in ("notes.txt", "boxes.XML", "LICENSE", "readme"):
        (folder / "train" / "cat" / name).write_bytes(b"x")
    assert (bytes_hash(class_folders(folder)), sizes_hash(class_folders(folder))) == before


@pytest.mark.parametrize("content_hash", [bytes_hash, sizes_hash])
def test_a_hash_follows_names_and_content_and_not_the_place(folder, tmp_path, content_hash):
    before = content_hash(class_folders(folder))
    moved = folder.rename(tmp_path / "elsewhere")
    assert content_hash(class_folders(moved)) == before
    file = moved / "test" / "dog" / "014.png"
    content = file.read_bytes()
    file.write_bytes(content + b"x")
    assert content_hash(class_folders(moved)) != before
    file.write_bytes(content)
    file.rename(file.with_name("0140.png"))
    assert content_hash(class_folders(moved)) != before


def test_only_the_hash_of_bytes_sees_a_byte(folder):
    before = [content_hash(class_folders(folder)) for content_hash in (bytes_hash, sizes_hash)]
    file = folder / "test" / "dog" / "014.png"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    after = [content_hash(class_folders(folder)) for content_hash in (bytes_hash, sizes_hash)]
    assert before[0] != after[0] and before[1] == after[1]


def test_names_that_are_not_utf8_can_be_hashed_and_said(folder):
    name = b"\xff\xfe.png".decode("utf-8", "surrogateescape")
    (folder / "train" / "cat" / name).write_bytes(b"x")
    images = class_folders(folder)
    assert bytes_hash(images) != sizes_hash(images)
    assert "\ufffd" in images.train.where(4) and images.train.where(4).isprintable()


@pytest.mark.parametrize("name", ["\x1b[31m.png", "a\n.png", "a\r.png", "\x7f.png", "\u202e.png"])
def test_names_are_said_without_what_would_change_the_terminal(folder, name):
    shown = printable(name)
    assert shown.isprintable() and shown == shown.rstrip() and shown != name
    (folder / "train" / "cat" / name).mkdir()
    (folder / "train" / "cat" / name / "x.png").write_bytes(b"x")
    with pytest.raises(DataError) as error:
        class_folders(folder)
    assert shown in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: shutil.rmtree(f / "test"), "has no folder 'test' or 'val': expected DIR/train/CLASS/IMAGE"),
        (lambda f: shutil.rmtree(f / "train"), "has no folder 'train': expected"),
        (lambda f: shutil.rmtree(f), "data folder 'pictures' does not exist: expected DIR/train/CLASS/IMAGE"),
        (lambda f: (f / "train" / "zebra").mkdir(), "class 'zebra' has no image in test"),
        (lambda f: shutil.rmtree(f / "test" / "dog"), "class 'dog' has no image in test"),
        (lambda f: shutil.rmtree(f / "train" / "dog"), "class 'dog' has no image in train"),
        (lambda f: [p.unlink() for p in (f / "test" / "dog").iterdir()], "class 'dog' has no image in test"),
        (lambda f: [shutil.rmtree(f / s / c) for s in ("train", "test") for c in CLASSES], "no class folders"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_with_what_it_lacks(folder, damage, message):
    damage(folder)
    with pytest.raises(DataError, match=message):
        class_folders(folder)


def test_tiny_imagenet_is_in_the_order_of_wordnet_ids(native):
    images = tiny_imagenet.find(native)
    assert images.classes == ["n01", "n02", "n03"]
    assert images.train.names[:4] == [f"train/n01/images/n01_{i}.JPEG" for i in range(3)] + [
        "train/n02/images/n02_0.JPEG"
    ]
    assert images.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert images.test.names == [f"val/images/val_{i}.JPEG" for i in (1, 4, 0, 3, 2, 5)]
    by_name = dict(zip(images.test.names, images.test.labels.tolist(), strict=True))
    lines = (native / "val" / "val_annotations.txt").read_text().splitlines()
    for line in lines:
        file, wnid, *_ = line.split("\t")
        assert images.classes[by_name[f"val/images/{file}"]] == wnid


def annotate(folder, change):
    file = folder / "val" / "val_annotations.txt"
    file.write_text(change(file.read_text()))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda f: shutil.rmtree(f / "train"), "has no 'train': expected wnids.txt"),
        (lambda f: shutil.rmtree(f / "val" / "images"), "has no 'val/images': expected wnids.txt"),
        (lambda f: (f / "wnids.txt").unlink(), "has no 'wnids.txt'"),
        (lambda f: (f / "wnids.txt").write_text("\n"), "wnids.txt names no class"),
        (lambda f: (f / "val" / "val_annotations.txt").unlink(), "has no 'val/val_annotations.txt'"),
        (lambda f: (f / "val/images/val_1.JPEG").unlink(), "annotations.txt names 'val_1.JPEG', which is not in"),
        (lambda f: (f / "val/images/v.JPEG").touch(), "val/images/v.JPEG has no class: val/val_annotations.txt does"),
        (lambda f: annotate(f, lambda t: t.replace("n03", "n99")), "val_annotations.txt, line 3: 'n99' is no class"),
        (lambda f: annotate(f, lambda t: t.replace("\t", " ")), "line 1 has no tab, got 'val_0.JPEG n02 .*': expected"),
        (lambda f: annotate(f, lambda t: t + "val_1.JPEG\tn03\n"), "line 7: 'val_1.JPEG' has two classes"),
        (lambda f: annotate(f, lambda t: t.replace("n03", "n01")), "class 'n03' has no image in test"),
        (lambda f: (f / "train" / "n04").mkdir(), "train/n04 is no class: wnids.txt does not name it"),
        (lambda f: shutil.rmtree(f / "train" / "n02"), "class 'n02' has no image in train"),
        (lambda f: shutil.rmtree(f), "data folder 'tiny' does not exist: expected wnids.txt"),
    ],
)
def test_tiny_imagenet_that_lacks_something_is_refused_with_what_it_lacks(native, damage, message):
    damage(native)
    with pytest.raises(DataError, match=message):
        tiny_imagenet.find(native)


@pytest.mark.parametrize("content_hash", [bytes_hash, sizes_hash])
def test_the_hash_of_tiny_imagenet_follows_its_annotations(native, content_hash):
    # one image changes its class while none changes its place
    found = []
    for wnid in ("n01", "n02"):
        classes = ("n01", wnid, "n02", "n02", "n03", "n03")
        lines = [f"val_{i}.JPEG\t{name}\n" for i, name in enumerate(classes)]
        annotate(native, lambda _: "".join(lines))  # noqa: B023
        images = tiny_imagenet.find(native)
        found.append((images.test.names, content_hash(images)))
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1]


def test_an_image_that_goes_away_is_named(folder):
    images = class_folders(folder)
    (folder / images.train.names[3]).unlink()
    with pytest.raises(DataError, match="train/cat/003.png cannot be read: No such file"):
        bytes_hash(images)
    assert image_files.list_images(folder, ["train/nobody"]).labels.tolist() == []
