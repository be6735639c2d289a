"""Data sets made of links, and folders that may not be looked at: whole, or an error that names the first gap."""

import os
import re
import shutil
from pathlib import Path

import pytest

from empirics import doctor
from empirics.data import cifar, datasets, imagenet, shards, tiny_imagenet
from empirics.data import images as image_files
from empirics.storage.data_files import DataError, kind_in, listed
from tests.empirics.closed_folders import closed, open_folder
from tests.empirics.tiny_images import CLASSES, cifar_files, encoded, fill_folder, picture, shards_of, tiny_cifar

pytestmark = pytest.mark.slow

NOWHERE, CIRCLE = "it is a link that leads nowhere", "it is a link that leads in a circle"


def make_folder(folder: Path) -> Path:
    return fill_folder(folder)


def make_imagenet(folder: Path) -> Path:
    return fill_folder(folder, ("train", "val"), kind="JPEG")


def make_tiny(folder: Path) -> Path:
    lines = []
    for number, name in enumerate(CLASSES):
        for path in (f"train/{name}/images/{name}_0.JPEG", f"val/images/val_{number}.JPEG"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(encoded(picture(number), "JPEG"))
        lines.append(f"val_{number}.JPEG\t{name}\t0\t0\t1\t1\n")
    (folder / "wnids.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    return folder


def make_shards(folder: Path) -> Path:
    images = image_files.class_folders(fill_folder(folder.parent / "images", ("train", "val")), ("val",))
    for split, files in (("train", images.train), ("val", images.test)):
        shards_of(files, folder, split, 4)
    return folder


def make_shards_within(folder: Path) -> Path:
    for file in sorted(make_shards(folder).glob("*.tar")):
        split = "train" if "train" in file.name else "val"
        (folder / split).mkdir(exist_ok=True)
        file.rename(folder / split / file.name)
    return folder


def make_cifar(folder: Path) -> Path:
    for name, content in cifar_files(tiny_cifar()).items():
        (folder / "bin" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "bin" / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "name, target, message",
    [
        ("train/bird", "cat", "train/bird and train/cat are one folder"),
        ("test/cat", "../train/cat", "train/cat and test/cat are one folder"),
        ("test/dog", "../train/cat", "train/cat and test/dog are one folder"),
    ],
)
def test_a_class_folder_under_two_names_is_refused(tmp_path, name, target, message):
    make_folder(tmp_path)
    for split in ("train", "test"):  # a class of both, so that none is missing
        (tmp_path / split / "owl").rename(tmp_path / split / "bird")
    shutil.rmtree(tmp_path / name)
    (tmp_path / name).symlink_to(target)
    first, second = re.match("(.*) and (.*) are", message).groups()
    with pytest.raises(DataError, match=f"^({first} and {second}|{second} and {first}) are one folder"):
        datasets.content_hash("mine", tmp_path)


@pytest.mark.parametrize("name, target", [("train/dog", "cat"), ("train/dog/images", "../cat/images"),
                                          ("val/images", "../train/dog/images")])  # fmt: skip
def test_a_folder_of_tiny_imagenet_under_two_names_is_refused(tmp_path, name, target):
    make_tiny(tmp_path)
    shutil.rmtree(tmp_path / name)
    (tmp_path / name).symlink_to(target)
    with pytest.raises(DataError, match="^train/.*/images and .*/images are one folder"):
        tiny_imagenet.find(tmp_path)


@pytest.mark.parametrize(
    "name, target, where",
    [
        ("test/cat/leak.png", "../../train/cat/000.png", "both splits"),
        ("test/dog/leak.png", "../../train/cat/000.png", "both splits"),
        ("train/dog/x.png", "../cat/000.png", "two classes"),
        ("test/owl/x.png", "../cat/012.png", "two classes"),
        ("train/dog/x.png", "../../shelf/link.png", "two classes"),
    ],
)
def test_an_image_that_links_put_into_two_classes_or_splits_is_refused(tmp_path, name, target, where):
    folder = make_folder(tmp_path / "data")
    (folder / "shelf").mkdir()
    (folder / "shelf/link.png").symlink_to("../train/cat/000.png")
    (folder / name).symlink_to(target)
    for size in (0, 8):
        with pytest.raises(DataError, match=f"^t.*png and {name} are one image, by a link, in {where}: remove one"):
            datasets.content_hash("mine", folder, size)


def test_images_that_are_all_links_are_refused_where_two_of_two_splits_lead_to_one_file(tmp_path):
    folder = make_folder(tmp_path / "data")
    for place in sorted(folder.glob("t*/*/*.png")):
        moved(folder, place.relative_to(folder).as_posix())
    image_files.class_folders(folder)
    for place in (folder / "test/cat").iterdir():
        place.unlink()
        place.symlink_to(tmp_path / "elsewhere/train/cat/000.png")
    with pytest.raises(DataError, match="^train/cat/000.png and test/cat/012.png are one image, by a link, in both"):
        image_files.class_folders(folder)


def test_an_image_twice_in_a_class_or_by_a_hard_link_is_read_as_before(tmp_path):
    folder = make_folder(tmp_path)
    (folder / "train/cat/again.png").symlink_to("000.png")
    os.link(folder / "train/cat/000.png", folder / "train/dog/hard.png")
    os.link(folder / "train/cat/000.png", folder / "test/cat/hard.png")
    images = image_files.class_folders(folder)
    assert len(images.train.names) == 14 and len(images.test.names) == 7


@pytest.mark.parametrize(
    "name, target, where",
    [
        ("val/images/val_0.JPEG", "../../train/dog/images/dog_0.JPEG", "both splits"),
        ("train/dog/images/x.JPEG", "../../cat/images/cat_0.JPEG", "two classes"),
        ("val/images/val_2.JPEG", "val_1.JPEG", "two classes"),
    ],
)
def test_an_image_of_tiny_imagenet_that_links_put_into_two_classes_or_splits_is_refused(tmp_path, name, target, where):
    folder = make_tiny(tmp_path)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(DataError, match=f"JPEG and {name} are one image, by a link, in {where}: remove one of them"):
        tiny_imagenet.find(folder)


@pytest.mark.parametrize("name", ["two.bin", "test.bin"])
def test_a_file_of_cifar_under_two_names_is_refused(tmp_path, name):
    make_cifar(tmp_path)
    (tmp_path / "bin" / name).unlink()
    (tmp_path / "bin" / name).symlink_to("one.bin")
    with pytest.raises(DataError, match=f"^one.bin and {name} are one file"):
        cifar.content_hash(tiny_cifar(), tmp_path)


# kind of data set -> (how it is made, how it is read, places in it that may be broken)
KINDS = {
    "folder": (
        make_folder,
        lambda folder: datasets.content_hash("mine", folder),
        ["train", "test", "train/dog", "test/owl", "train/cat/000.png", "test/owl/017.png"],
    ),
    "folder, streamed": (
        make_folder,
        lambda folder: datasets.content_hash("mine", folder, 8),
        ["train", "test", "train/dog", "test/owl", "train/cat/000.png", "test/owl/017.png"],
    ),
    "imagenet": (
        make_imagenet,
        lambda folder: datasets.content_hash("imagenet", folder, 8),
        ["train", "val", "train/dog", "val/owl", "train/cat/000.jpeg", "val/owl/017.jpeg"],
    ),
    "tiny-imagenet": (
        make_tiny,
        lambda folder: datasets.content_hash("tiny-imagenet", folder),
        ["train", "val", "val/images", "train/dog", "train/dog/images", "train/dog/images/dog_0.JPEG",
         "val/images/val_2.JPEG", "wnids.txt", "val/val_annotations.txt"],
    ),
    "shards": (
        make_shards,
        lambda folder: datasets.content_hash("imagenet", folder, 8, folder.parent / "cache"),
        ["x-train-0000.tar", "x-train-0008.tar", "x-val-0004.tar"],
    ),
    "shards within": (
        make_shards_within,
        lambda folder: datasets.content_hash("imagenet", folder, 8),
        ["train", "val", "train/x-train-0004.tar", "val/x-val-0000.tar"],
    ),
    "cifar": (
        make_cifar,
        lambda folder: cifar.content_hash(tiny_cifar(), folder),
        ["bin", "bin/one.bin", "bin/two.bin", "bin/test.bin"],
    ),
}  # fmt: skip
PLACES = [(kind, place) for kind, (_, _, places) in KINDS.items() for place in places]


def removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def moved(folder: Path, place: str) -> Path:
    """A part of a data set put elsewhere, with a link in its place."""
    target = folder.parent / "elsewhere" / place
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / place).rename(target)
    (folder / place).symlink_to(target)
    return target


@pytest.mark.parametrize("kind, place", PLACES)
def test_a_link_that_leads_somewhere_is_as_good_as_what_it_leads_to(tmp_path, kind, place):
    make, read, _ = KINDS[kind]
    folder = make(tmp_path / "data")
    before = read(folder)
    moved(folder, place)
    assert read(folder) == before


@pytest.mark.parametrize("kind, place", PLACES)
@pytest.mark.parametrize("why", [NOWHERE, CIRCLE])
def test_a_broken_link_is_refused_by_name_and_nothing_is_left_out_in_silence(tmp_path, kind, place, why):
    make, read, _ = KINDS[kind]
    folder = make(tmp_path / "data")
    removed(folder / place)
    (folder / place).symlink_to("gone" if why == NOWHERE else Path(place).name)
    with pytest.raises(DataError) as error:
        read(folder)
    assert str(error.value).startswith(f"{place} cannot be read: {why}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_folder_that_is_a_broken_link_is_named_as_one(tmp_path, kind):
    make, read, _ = KINDS[kind]
    (tmp_path / "data").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match=f"data cannot be read: {NOWHERE}"):
        read(tmp_path / "data")
    make(tmp_path / "unmounted")
    assert read(tmp_path / "data") is not None


def test_the_first_of_several_broken_links_is_named(tmp_path):
    folder = fill_folder(tmp_path)
    for name in ("003", "002"):
        removed(folder / f"train/cat/{name}.png")
        (folder / f"train/cat/{name}.png").symlink_to("gone")
    with pytest.raises(DataError, match="^train/cat/002.png cannot be read"):
        image_files.class_folders(folder)


def test_a_broken_test_folder_is_not_replaced_by_the_validation_images(tmp_path):
    folder = fill_folder(tmp_path, ("train", "val"))
    (folder / "test").symlink_to("gone")
    with pytest.raises(DataError, match=f"^test cannot be read: {NOWHERE}"):
        image_files.class_folders(folder)


def test_a_broken_archive_is_not_replaced_by_what_was_unpacked(tmp_path):
    folder = make_cifar(tmp_path)
    (folder / tiny_cifar().archive.file).symlink_to("gone")
    with pytest.raises(DataError, match=f"^tiny.tar.gz cannot be read: {NOWHERE}"):
        cifar.content_hash(tiny_cifar(), folder)


def test_broken_links_that_are_no_part_of_a_data_set_do_no_harm(tmp_path):
    folder = fill_folder(tmp_path)
    before = image_files.bytes_hash(image_files.class_folders(folder))
    for name in ("notes", "train/cat/notes.txt", "train/.hidden", "train/cat/.000.png", "test/owl/.DS_Store"):
        (folder / name).symlink_to("gone")
    assert image_files.bytes_hash(image_files.class_folders(folder)) == before


@pytest.mark.parametrize(
    "link, target, found",
    [
        ("train/cat/up", "..", "train/cat/up/cat/000.png"),
        ("train/self", ".", "train/self/cat/000.png"),
        ("train/whole", "..", "train/whole/test/cat/012.png"),
    ],
)
def test_a_link_to_a_folder_around_it_is_refused_with_the_folder_of_its_class(tmp_path, link, target, found):
    folder = fill_folder(tmp_path)
    (folder / link).symlink_to(target)
    where = "/".join(found.split("/")[:2])
    with pytest.raises(DataError, match=f"^{found} lies in a folder within its class: move it to {where}/$"):
        image_files.class_folders(folder)


def test_links_that_lead_in_a_circle_and_to_no_image_end(tmp_path):
    folder = fill_folder(tmp_path)
    before = image_files.sizes_hash(image_files.class_folders(folder))
    (folder / "train/cat/empty").mkdir()
    (folder / "train/cat/empty/itself").symlink_to(".")
    assert image_files.sizes_hash(image_files.class_folders(folder)) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [0, 0o400])
def test_a_folder_or_file_that_may_not_be_looked_at_is_refused_by_name(kind, mode):
    make, read, places = KINDS[kind]
    with open_folder() as root:
        folder = make(root / "data")
        streamed = kind in ("folder, streamed", "imagenet")  # only names and sizes of images are looked at
        for place in [place for place in places if (folder / place).is_dir() or not streamed]:
            rights = mode if (folder / place).is_dir() else 0
            with closed(folder / place, mode=rights), pytest.raises(DataError) as error:
                read(folder)
            assert "Permission denied" in str(error.value) and Path(place).name in str(error.value), place
        with closed(folder), pytest.raises(DataError, match="Permission denied"):
            read(folder)
        with closed(root), pytest.raises(DataError, match="^data cannot be read: Permission denied"):
            read(folder)
        assert read(folder) is not None, "and as it was, it is read"


def test_an_image_that_may_not_be_read_is_named_when_it_is():
    with open_folder() as root:
        images = image_files.class_folders(fill_folder(root))
        with closed(root / "train/cat/001.png"), pytest.raises(DataError, match="^train/cat/001.png cannot be read"):
            images.train.read(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_folder_that_may_not_be_entered_is_named_and_nothing_in_it(kind):
    make, read, _ = KINDS[kind]
    with open_folder() as root:
        folder = make(root / "data")
        for mode in (0, 0o400):
            with closed(folder, mode=mode), pytest.raises(DataError) as error:
                read(folder)
            assert str(error.value) == "data folder 'data' cannot be entered: Permission denied"


@pytest.mark.parametrize("make, find", [(make_folder, image_files.class_folders), (make_imagenet, imagenet.find),
                                        (make_tiny, tiny_imagenet.find)])  # fmt: skip
def test_the_lost_and_found_of_a_disk_is_no_class(make, find):
    with open_folder() as root:
        folder = make(root / "data")
        before = image_files.sizes_hash(find(folder))
        for split in ("train", "val") if (folder / "val").is_dir() else ("train", "test"):
            (folder / split / "lost+found").mkdir(mode=0o700)
        assert image_files.sizes_hash(find(folder)) == before, "empty"
        with closed(folder / "train/lost+found"):
            assert image_files.sizes_hash(find(folder)) == before, "closed"


def test_a_folder_of_that_name_with_images_is_a_class_like_any_other(tmp_path):
    folder = fill_folder(tmp_path)
    for split in ("train", "test"):
        shutil.copytree(folder / split / "cat", folder / split / "lost+found")
    assert "lost+found" in image_files.class_folders(folder).classes


def test_doctor_names_what_a_data_set_lacks(tmp_path):
    folder = make_tiny(tmp_path)
    removed(folder / "train/dog")
    (folder / "train/dog").symlink_to("gone")
    texts = [finding.text for finding in doctor.examine(tmp_path / "results", folder)]
    assert f"data set tiny-imagenet: train/dog cannot be read: {NOWHERE}" in texts


@pytest.mark.parametrize("make, place", [(make_shards, "x-train-0004.tar"), (make_imagenet, "train")])
def test_doctor_calls_data_that_may_not_be_read_a_problem_and_names_no_folder_of_the_machine(make, place):
    with open_folder() as root:
        folder = make(root / "data")
        with closed(folder / place):
            bad = [finding.text for finding in doctor.examine(root / "results", folder) if finding.bad]
        assert [text for text in bad if text.startswith("data set imagenet: ")]
        for text in bad:
            assert place in text and text.endswith(": Permission denied")
            assert str(root) not in text and "Errno" not in text
        assert not [finding.text for finding in doctor.examine(root / "results", root / "none") if finding.bad]


@pytest.mark.parametrize("cut", [0, 100, 3000])
def test_doctor_calls_a_damaged_shard_a_problem(tmp_path, cut):
    folder = make_shards(tmp_path / "data")
    file = folder / "x-train-0004.tar"
    file.write_bytes(file.read_bytes()[:cut])
    bad = [finding.text for finding in doctor.examine(tmp_path / "results", folder) if finding.bad]
    assert len(bad) == 1 and bad[0].startswith("data set imagenet: shard x-train-0004.tar ")


def test_what_is_listed_is_in_the_order_of_names_and_hidden_names_are_left_out(tmp_path):
    for name in ("b", "a", ".c", "._a"):
        (tmp_path / name).write_bytes(b"")
    os.mkfifo(tmp_path / "d")
    (tmp_path / "e").mkdir()
    assert listed(tmp_path) == [("a", "file"), ("b", "file"), ("d", "other"), ("e", "folder")]
    assert [kind_in(tmp_path, name) for name in ("a", "e", "d", "x", "a/x", "e/x")] == [
        "file", "folder", "other", None, None, None
    ]  # fmt: skip


def test_shards_that_vanish_before_they_are_read_are_named(tmp_path):
    folder = make_shards(tmp_path / "data")
    names = shards.shard_names(folder)["train"]
    (folder / names[0]).unlink()
    with pytest.raises(DataError, match=f"shard {names[0]} cannot be read"):
        shards._stamp(folder, names)
