"""Nothing of a data set is left out without a word, and nothing that systems leave beside it is taken for a part."""

import dataclasses
import os
import re
import shutil
import socket
import tarfile

import numpy as np
import pytest

from empirics import doctor
from empirics.data import cifar, imagenet, shards, tiny_imagenet
from empirics.data.datasets import load
from empirics.data.images import class_folders, sizes_hash
from empirics.execution.tasks import study_record
from empirics.runs import levels
from empirics.runs.resume import Interrupted
from empirics.storage.data_files import DataError, reason
from empirics.storage.folders import is_clutter
from empirics.storage.run_folder import RunFolder
from empirics.studies.records import write_study
from figures.results.load import load as load_results
from tests.empirics.closed_folders import closed, open_folder
from tests.empirics.tiny_images import cifar_files, encoded, fill_folder, fill_shard, picture, tiny_cifar
from tests.empirics.tiny_runs import arm, setup_in

pytestmark = pytest.mark.slow

CLUTTER = ("._000.png", ".DS_Store", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Desktop.ini", "ehthumbs.db", "Icon\r",
           ".directory", ".hidden.jpeg")  # fmt: skip
CLUTTERED_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", ".ipynb_checkpoints", ".git")


def litter(*places):
    """What Macs, Windows and network disks leave, in these folders."""
    for place in places:
        for name in CLUTTER:
            (place / name).write_bytes(b"\0\5\26\7")
        for name in CLUTTERED_FOLDERS:
            (place / name).mkdir()
            (place / name / "._x.png").write_bytes(b"\0\5\26\7")
            (place / name / "x.png").write_bytes(b"\0\5\26\7")


@pytest.mark.parametrize("name", [*CLUTTER, *CLUTTERED_FOLDERS])
def test_what_systems_leave_is_told_by_its_name_and_nothing_else_is(name):
    from figures.results import folders

    assert is_clutter(name) and folders.is_clutter(name)
    for other in ("cat", "n01440764", "000.png", "thumbs", "_000.png", "mac", "icon", "lrr-digits-resnet8-0123abcd"):
        assert not is_clutter(other) and not folders.is_clutter(other)


LITTER = ("0.png:Zone.Identifier", "README:Zone.Identifier", "0.png:com.dropbox.attrs", ":com.dropbox.attrs",
          "Thumbs.db:encryptable", "ehthumbs_vista.db", "Desktop DB", "Desktop DF", "Picasa.ini", "~$notes.docx",
          "0.png~", "notes.txt~", "SHA512SUMS", "sha512sums", "checksums", "MD5SUM", "SHA256SUMS.asc", "x.sha512",
          "x.sha256", "x.md5", "x.cff", "x.bib", "x.pdf", "x.py", "x.sh", "0.png.dvc", "x.npy", "labels.csv.gz",
          "LICENCE", "NOTICE", "AUTHORS", "CHANGELOG", "MANIFEST", "Makefile", "val_annotations.txt.bak",
          ".README.icloud")  # fmt: skip
BINS = ("RECYCLER", "FOUND.000", "#recycle", "@Recycle", "@eaDir", "@Recently-Snapshot", "Network Trash Folder",
        "Temporary Items", "__MACOSX", "__pycache__")  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return fill_folder(tmp_path / "pictures")


@pytest.fixture
def native(tmp_path):
    """Tiny ImageNet of two classes."""
    place = tmp_path / "tiny"
    (place / "val/images").mkdir(parents=True)
    lines = []
    for label, wnid in enumerate(("n01", "n02")):
        (place / f"train/{wnid}/images").mkdir(parents=True)
        (place / f"train/{wnid}/images/{wnid}_0.JPEG").write_bytes(encoded(picture(label), "JPEG"))
        (place / f"val/images/val_{label}.JPEG").write_bytes(encoded(picture(7 + label), "JPEG"))
        lines.append(f"val_{label}.JPEG\t{wnid}\t0\t0\t7\t7\n")
    (place / "wnids.txt").write_text("n01\nn02\n")
    (place / "val/val_annotations.txt").write_text("".join(lines))
    return place


@pytest.fixture
def pair(tmp_path):
    """A shard for each split, of two classes."""
    fill_shard(tmp_path / "s/x-train-0.tar", [m for i in range(4) for m in sample(f"a/{i}", i % 2, i)])
    fill_shard(tmp_path / "s/x-val-0.tar", [m for i in range(2) for m in sample(f"b/{i}", i, 7 + i)])
    return tmp_path / "s"


def sample(key, label, number=0, suffix="jpg"):
    return [(f"{key}.{suffix}", encoded(picture(number), "JPEG")), (f"{key}.cls", str(label).encode())]


# --- what systems leave -----------------------------------------------------------------------------------------------


def test_a_class_folder_is_the_same_beside_what_systems_leave(folder):
    before = sizes_hash(class_folders(folder))
    litter(folder, *(folder / split for split in ("train", "test")), *folder.glob("*/*"))
    assert sizes_hash(class_folders(folder)) == before


@pytest.mark.parametrize("place", ["train/cat", "train", "test/dog", "test"])
def test_what_systems_and_people_leave_beside_images_or_classes_changes_nothing(folder, place):
    before = sizes_hash(class_folders(folder))
    for name in LITTER:
        (folder / place / name).write_bytes(b"x")
    for name in BINS:
        (folder / place / name).mkdir()
        (folder / place / name / "0.png").write_bytes(b"x")
    (folder / place / "lost+found").mkdir()
    assert sizes_hash(class_folders(folder)) == before


def test_a_backup_of_the_annotations_of_tiny_imagenet_changes_nothing(native):
    before = sizes_hash(tiny_imagenet.find(native))
    (native / "val/val_annotations.txt.bak").write_text("x")
    assert sizes_hash(tiny_imagenet.find(native)) == before


@pytest.mark.parametrize("name", ["recycler", "cat:1", "found", "cat~", "notice"])
def test_a_class_that_is_called_almost_like_clutter_is_one(folder, name):
    for split in ("train", "test"):
        (folder / split / "cat").rename(folder / split / name)
    assert name in class_folders(folder).classes


def test_an_image_that_is_packed_is_refused_by_name(folder):
    (folder / "train/cat/0.png.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"^train/cat/0\.png\.gz is a compressed image: decompress it"):
        class_folders(folder)


def test_tiny_imagenet_is_the_same_beside_what_systems_leave(native):
    before = sizes_hash(tiny_imagenet.find(native))
    litter(native, native / "train", native / "val", native / "val/images", *native.glob("train/*"))
    litter(native / "train/n01/images")
    (native / "val/images/._val_0.JPEG").write_bytes(b"\0\5\26\7")
    assert sizes_hash(tiny_imagenet.find(native)) == before


def test_shards_are_the_same_beside_and_with_what_systems_leave(pair):
    before = sizes_hash(shards.find(pair))
    for split in ("train", "val"):
        (pair / split).mkdir()
        (pair / split / "._000.tar").write_bytes(b"\0\5\26\7")
        litter(pair / split)
    (pair / "._x-train-0.tar").write_bytes(b"\0\5\26\7")
    assert sizes_hash(shards.find(pair)) == before
    members = [("._a", b"x"), ("a/._0.jpg", b"x"), ("a/._0.cls", b"cat"), ("__MACOSX/a/._1.jpg", b"x")]
    members += [("a/Thumbs.db", b"x"), (".git/0.jpg", b"x"), ("./.hidden/1.cls", b"0")]
    with tarfile.open(pair / "x-train-0.tar") as tar:
        members += [(info.name, tar.extractfile(info).read()) for info in tar]
    fill_shard(pair / "x-train-0.tar", members)
    assert sizes_hash(shards.find(pair)) == before


def test_results_are_the_same_beside_what_systems_leave(tmp_path, tiny_digits):
    setup = setup_in(tmp_path / "results", tiny_digits)
    config = arm("lrr", levels=2, epochs=2)
    levels.run(config.dense, 0, setup)
    asked = iter([False] * 7)  # steps: it is stopped within its level, with a checkpoint
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=lambda: next(asked, True)))
    results = setup.results
    write_study(results, study_record("quick", {}, config, {"lrr": config}, (0,), "paper_repro.py train"))
    assert list(results.rglob("checkpoints/*.safetensors"))
    before, drawn = [finding.text for finding in doctor.examine(results, tmp_path / "data")], load_results(results)
    assert not [finding for finding in doctor.examine(results, tmp_path / "data") if finding.bad]
    for place in [results, *(path for path in results.rglob("*") if path.is_dir())]:
        litter(place)
        for file in [path for path in place.iterdir() if path.is_file() and not is_clutter(path.name)]:
            file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
    assert [finding.text for finding in doctor.examine(results, tmp_path / "data")] == before
    assert load_results(results) == drawn and len(drawn.studies) == 1 and not drawn.problems
    levels.run(config, 0, setup)
    assert RunFolder(results, config.name, 0).next_level(config) is None


# --- what would have been left out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.bmp", "a.webp", "a.GIF", "a.tiff", "a.jfif", "a.ppm", "a.tga", "a.dib", "a.ico",
                                  "a.pcx", "a.psd", "a.exr", "a.svg", "a.apng", "a.dng", "a.CR2", "a.raw"])  # fmt: skip
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_of_kinds_that_are_not_read_are_refused_by_name(folder, split, name):
    (folder / split / "cat" / name).write_bytes(b"x")
    message = f"{split}/cat/{name} is an image of an unsupported format (supported: .jpeg, .jpg, .png): convert it"
    with pytest.raises(DataError, match=re.escape(message)):
        class_folders(folder)


@pytest.mark.parametrize("within", ["more", "more/still", "more/still/deeper", "a.b"])
def test_images_in_folders_within_a_class_are_refused_by_name(folder, within):
    (folder / "train/cat" / within).mkdir(parents=True)
    class_folders(folder)
    (folder / "train/cat" / within / "new.jpg").write_bytes(b"x")
    message = f"train/cat/{within}/new.jpg lies in a folder within its class: move it to train/cat/$"
    with pytest.raises(DataError, match=message):
        class_folders(folder)


def test_images_in_a_linked_folder_within_a_class_are_refused_by_name(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/new.jpg").write_bytes(b"x")
    (folder / "test/dog/more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="test/dog/more/new.jpg lies in a folder within its class"):
        class_folders(folder)


@pytest.mark.parametrize("place", ["train/cat/extra", "train/cat/more/extra", "train/cat/more/0.png"])
def test_a_link_that_leads_nowhere_may_have_been_a_folder_of_images_and_is_refused_by_name(folder, place):
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).symlink_to("nowhere")
    with pytest.raises(DataError, match=f"^{place} cannot be read: it is a link that leads nowhere"):
        class_folders(folder)


@pytest.mark.parametrize("target", ["../dog", "../../train", "../../test"])
@pytest.mark.parametrize("name", ["more", "more.txt"])
def test_images_behind_a_linked_folder_within_a_class_are_refused_however_deep(folder, target, name):
    (folder / "train/cat" / name).symlink_to(target)
    with pytest.raises(DataError, match=rf"^train/cat/{name}/.*png lies in a folder within its class: move it to"):
        class_folders(folder)


def test_a_folder_within_a_class_that_is_called_like_an_image_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "train/cat/0.png").mkdir()
    for _ in range(2):
        with pytest.raises(DataError, match="^train/cat/0.png is a folder with the name of an image"):
            class_folders(folder)
        if not (folder / "train/cat/0.png").is_symlink():
            (folder / "train/cat/0.png").rmdir()
            (folder / "train/cat/0.png").symlink_to(tmp_path / "elsewhere")


def put_pipe(place):
    os.mkfifo(place)


def put_socket(place):
    with socket.socket(socket.AF_UNIX) as end:
        before = os.getcwd()
        os.chdir(place.parent)  # the path of a socket is short
        try:
            end.bind(place.name)
        finally:
            os.chdir(before)


def put_device(place):
    place.symlink_to("/dev/zero")


ODD = [put_pipe, put_socket, put_device]


@pytest.mark.parametrize("put", ODD)
@pytest.mark.parametrize("name", ["0.png", "notes.txt", "x", "more/x"])
def test_what_is_no_regular_file_in_a_class_is_refused_by_name(folder, put, name):
    (folder / "train/cat/more").mkdir()
    put(folder / "train/cat" / name)
    with pytest.raises(DataError, match=f"^train/cat/{name} (is not a regular file|lies in a folder within)"):
        class_folders(folder)


@pytest.mark.parametrize("put", ODD)
@pytest.mark.parametrize(
    "name, message",
    [
        ("val/images/x.JPEG", "val/images/x.JPEG is not a regular file"),
        ("train/n01/images/x.JPEG", "train/n01/images/x.JPEG is not a regular file"),
        ("train/n01/x.JPEG", "train/n01/x.JPEG is not in train/n01/images"),
        ("wnids.txt", "wnids.txt cannot be read: it is not a regular file"),
        ("val/val_annotations.txt", "val/val_annotations.txt cannot be read: it is not a regular file"),
    ],
)
def test_what_is_no_regular_file_in_tiny_imagenet_is_refused_at_once(native, put, name, message):
    (native / name).unlink(missing_ok=True)
    put(native / name)
    with pytest.raises(DataError, match=f"^{message}"):
        tiny_imagenet.find(native)


@pytest.mark.parametrize("put", ODD)
def test_a_shard_that_is_no_regular_file_is_refused_at_once(pair, tmp_path, put):
    put(pair / "x-train-1.tar")
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(DataError, match="^shard x-train-1.tar cannot be read: it is not a regular file"):
            shards.find(pair, cache)


@pytest.mark.parametrize("put", ODD)
@pytest.mark.parametrize("name", ["tiny.tar.gz", "bin/one.bin", "bin/test.bin"])
def test_a_file_of_cifar_that_is_no_regular_file_is_refused_at_once(tmp_path, put, name):
    (tmp_path / "bin").mkdir()
    for file, content in cifar_files(tiny_cifar()).items():
        (tmp_path / "bin" / file).write_bytes(content)
    (tmp_path / name).unlink(missing_ok=True)
    put(tmp_path / name)
    for read in (
        lambda: cifar.content_hash(tiny_cifar(), tmp_path),
        lambda: cifar.load(tiny_cifar(), tmp_path, "", None),
    ):
        with pytest.raises(DataError, match=f"{name.rpartition('/')[2]} .*not a regular file"):
            read()


@pytest.mark.parametrize("name", ["a.zip", "000", "0.png ", "0.png\n", "0.jpg.part", "x.gz", "0.png.bak"])
def test_what_is_no_image_by_its_name_and_no_note_is_refused_by_name(folder, name):
    (folder / "train/cat" / name).write_bytes(b"x")
    with pytest.raises(DataError) as error:
        class_folders(folder)
    shown = name.replace(" ", r"\x20").replace("\n", r"\n")
    assert str(error.value).startswith(f"train/cat/{shown} is not an image by its name (supported: .jpeg, .jpg, .png)")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("linked", [True, False])
def test_a_file_in_place_of_a_class_is_refused_by_name(folder, tmp_path, split, linked):
    (tmp_path / "file").write_text("x")
    for name in ("train/dog", "test/dog"):
        shutil.rmtree(folder / name)
        if linked or not name.startswith(split):
            (folder / name).symlink_to(tmp_path / "file")
        else:
            (folder / name).write_text("x")
    with pytest.raises(DataError, match="^train/dog is not a folder: train/ must contain only folders of classes"):
        class_folders(folder)


def test_one_folder_for_both_splits_is_refused(folder):
    shutil.rmtree(folder / "test")
    (folder / "test").symlink_to("train")
    with pytest.raises(DataError, match="^'train' and 'test' are one folder: what is trained on cannot be tested on"):
        class_folders(folder)


@pytest.mark.parametrize("name", ["zebra", "n01.tar.gz", "x.zip"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_no_class_folder_in_a_split_is_refused_by_name(folder, split, name):
    (folder / split / name).write_bytes(b"x")
    with pytest.raises(DataError, match=f"^{split}/{name} is not a folder"):
        class_folders(folder)


@pytest.mark.parametrize(
    "name", ["train/cat/.0.png.icloud", "train/cat/0.png.icloud", "test/dog/.0.PNG.iCloud", "train/.zebra.icloud"]
)
def test_an_image_that_is_still_in_icloud_is_refused_by_name(folder, name):
    (folder / name).write_bytes(b"bplist00")
    with pytest.raises(
        DataError, match=f"^{name} is a placeholder for .*, which is still in iCloud: download it first"
    ):
        class_folders(folder)


def test_notes_and_clutter_that_are_still_in_icloud_are_no_matter(folder):
    before = sizes_hash(class_folders(folder))
    for name in ("train/cat/.notes.txt.icloud", "train/cat/..DS_Store.icloud", ".letter.icloud"):
        (folder / name).write_bytes(b"bplist00")
    assert sizes_hash(class_folders(folder)) == before


def test_a_shard_that_is_still_in_icloud_is_refused_by_name(pair):
    (pair / ".x-train-1.tar.icloud").write_bytes(b"bplist00")
    with pytest.raises(
        DataError, match=r"^\.x-train-1\.tar\.icloud is a placeholder for x-train-1\.tar, which is still in iCloud"
    ):
        shards.find(pair)


@pytest.mark.parametrize("ending", ["tbz2", "tbz", "txz", "tlz", "tgz", "tar.gz", "tar.lzma", "tar.Z", "tar.zstd",
                                    "tzst", "tar.br", "tar.lz", "tar.lzo", "zip", "7z", "tar.part", "tar.crdownload",
                                    "tar.1", "tar.aa"])  # fmt: skip
def test_packed_and_partial_archives_beside_good_shards_are_refused_by_name(pair, ending):
    (pair / f"x-train-9.{ending}").write_bytes(b"x")
    message = f"^shard 'x-train-9.{ending}' is (compressed: decompress it|a part or a copy of one)"
    with pytest.raises(DataError, match=message):
        shards.find(pair)


@pytest.mark.parametrize("name, message", [("x-9.tar", "names no split"), ("train/sub/x-9.tar", "lies in a folder")])
def test_a_shard_that_would_be_left_out_is_refused_by_name(pair, name, message):
    (pair / name).parent.mkdir(parents=True, exist_ok=True)
    shards.find(pair)
    shutil.copy(pair / "x-train-0.tar", pair / name)
    with pytest.raises(DataError, match=f"^shard '{name}' {message}"):
        shards.find(pair)


def made(place, target, linked):
    """A folder, or a link to one that lies elsewhere."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        target.mkdir()
        place.symlink_to(target)
    else:
        place.mkdir()
    return place


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("within", ["train/more", "train/a/more", "val/more"])
def test_a_shard_within_a_split_is_refused_by_name_also_behind_a_linked_folder(pair, tmp_path, within, linked):
    made(pair / within, tmp_path / "far", linked)
    shards.find(pair)
    shutil.copy(pair / "x-train-0.tar", pair / within / "x-0100.tar")
    split = within[: within.index("/")]
    message = f"^shard '{within}/x-0100.tar' lies in a folder within {split}/: move it to {split}/"
    with pytest.raises(DataError, match=message):
        shards.find(pair)


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("name", ["more/x-train-1.tar", "more/X-VAL-1.tar", "training/0.tar", "train-2/0.tar",
                                  "validation/0.tar", "Train/0.tar", "TRAIN/x-train-1.tar",
                                  "test/x-val-9.tar"])  # fmt: skip
def test_a_shard_in_a_folder_beside_the_splits_is_refused_by_name(pair, tmp_path, name, linked):
    made((pair / name).parent, tmp_path / "far", linked)
    shards.find(pair)
    shutil.copy(pair / "x-train-0.tar", pair / name)
    with pytest.raises(DataError, match=f"^shard '{name}' is not read there: move it to train/ or val/"):
        shards.find(pair)


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("split", ["train", "val"])
def test_folders_of_images_beside_shards_are_refused_by_name(pair, tmp_path, split, linked):
    made(pair / split / "n01", tmp_path / "far", linked)
    (pair / split / "n01/notes.txt").write_text("x")
    imagenet.find(pair)
    (pair / split / "n01/0.JPEG").write_bytes(b"x")
    with pytest.raises(DataError, match=f"^image '{split}/n01/0.JPEG' lies in a folder with shards, and only shards"):
        imagenet.find(pair)


def test_folders_beside_shards_that_hold_none_of_a_split_change_nothing(pair, tmp_path):
    before = sizes_hash(shards.find(pair))
    (pair / "train").mkdir()
    (pair / "train/itself").symlink_to(".")
    (pair / "again").symlink_to(".")
    (pair / "train too").symlink_to("train")
    (pair / "notes").symlink_to("gone")
    for name in (
        "test/x-test-0.tar",
        "test/0.tar",
        "more/x.tar",
        "more/ILSVRC2012_img_train.tar",
        "more/._x-train.tar",
    ):
        (pair / name).parent.mkdir(exist_ok=True)
        (pair / name).write_bytes(b"x")
    for place in (pair, pair / "train", pair / "more"):
        litter(place)
    assert sizes_hash(shards.find(pair)) == before


def test_shards_of_which_a_split_is_a_link_to_another_disk_are_read_as_before(pair, tmp_path):
    (pair / "train").mkdir()
    (pair / "x-train-0.tar").rename(pair / "train/0.tar")
    before = sizes_hash(shards.find(pair))
    (pair / "train").rename(tmp_path / "disk")
    (pair / "train").symlink_to(tmp_path / "disk")
    assert sizes_hash(shards.find(pair)) == before


def test_a_closed_folder_beside_shards_is_anyones_unless_it_is_called_like_a_split(pair):
    with open_folder() as root:
        shutil.copytree(pair, root / "s")
        before = sizes_hash(shards.find(root / "s"))
        for name in ("lost+found", "bob", "training"):
            (root / "s" / name).mkdir()
        with closed(root / "s/lost+found", root / "s/bob"):
            assert sizes_hash(shards.find(root / "s")) == before
        with closed(root / "s/training"), pytest.raises(DataError, match="^training cannot be listed: Permission"):
            shards.find(root / "s")


def test_a_shard_to_be_tested_on_without_classes_is_no_matter(pair):
    before = sizes_hash(shards.find(pair))
    fill_shard(pair / "x-test-0.tar", [("a.jpg", b"x")])
    assert sizes_hash(shards.find(pair)) == before


@pytest.mark.parametrize(
    "members, message",
    [
        (sample(".more/0", 0), r"sample '\.more/0' lies in a hidden folder"),
        (sample("a/.more/b/0", 0), r"sample 'a/\.more/b/0' lies in a hidden folder"),
        (sample("q", 0) + [("q.2.bmp", b"x"), ("q.2.cls", b"0")], "'q.2.bmp' is an image of an unsupported format"),
    ],
)
def test_a_whole_sample_that_would_be_left_out_is_refused_by_name(pair, members, message):
    fill_shard(pair / "x-train-1.tar", members)
    with pytest.raises(DataError, match=f"^shard x-train-1.tar: {message}"):
        shards.find(pair)


def test_the_published_archives_of_imagenet_beside_its_folders_are_no_shards(folder):
    (folder / "test").rename(folder / "val")
    before = sizes_hash(imagenet.find(folder))
    for split in ("train", "val", "test_v10102019"):
        (folder / f"ILSVRC2012_img_{split}.tar").write_bytes(b"x")
    assert sizes_hash(imagenet.find(folder)) == before


def test_a_class_may_be_called_like_an_image(folder):
    for split in ("train", "test"):
        (folder / split / "cat").rename(folder / split / "v1.raw")
    assert class_folders(folder).classes == ["dog", "owl", "v1.raw"]


@pytest.mark.parametrize("how", ["real", "linked", "deep"])
@pytest.mark.parametrize("beside", ["train/n01", "val"])
def test_a_folder_of_images_beside_that_of_tiny_imagenet_is_refused_by_name(native, tmp_path, how, beside):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/0.JPEG").write_bytes(b"x")
    place = native / beside / ("deep/more" if how == "deep" else "more")
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "more") if how != "real" else (tmp_path / "more").rename(place)
    with pytest.raises(DataError, match=f"^{beside}/.*more/0.JPEG is not in {beside}/images: move it there"):
        tiny_imagenet.find(native)


def test_a_closed_folder_beside_the_images_of_tiny_imagenet_is_refused_by_name(native):
    with open_folder() as root:
        shutil.copytree(native, root / "tiny")
        (root / "tiny/train/n01/more").mkdir()
        with closed(root / "tiny/train/n01/more"), pytest.raises(DataError, match="^train/n01/more cannot be listed"):
            tiny_imagenet.find(root / "tiny")


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_in_no_class_folder_are_refused_by_name(folder, split):
    (folder / split / "loose.png").write_bytes(b"x")
    with pytest.raises(DataError, match=f"{split}/loose.png is in no class folder: move it to {split}/CLASS/"):
        class_folders(folder)


@pytest.mark.parametrize("loose", ["val/x.JPEG", "val/x.jpeg", "val/x.png"])
def test_validation_images_of_imagenet_without_class_folders_are_refused_by_name(folder, loose):
    (folder / "test").rename(folder / "val")
    (folder / loose).write_bytes(b"x")
    with pytest.raises(DataError, match=f"{loose} is in no class folder: move the validation images"):
        imagenet.find(folder)


@pytest.mark.parametrize(
    "name, message",
    [
        ("train/n01/new.JPEG", "train/n01/new.JPEG is not in train/n01/images"),
        ("train/n01/images/new.webp", "train/n01/images/new.webp is an image of an unsupported format"),
        ("train/n01/images/more/new.JPEG", "train/n01/images/more/new.JPEG lies in a folder within its class"),
        ("val/images/new.bmp", "val/images/new.bmp is an image of an unsupported format"),
        ("val/images/n01/new.JPEG", "val/images/n01/new.JPEG lies in a folder within its class"),
    ],
)
def test_images_elsewhere_in_tiny_imagenet_are_refused_by_name(native, name, message):
    (native / name).parent.mkdir(exist_ok=True)
    (native / name).write_bytes(b"x")
    with pytest.raises(DataError, match=message):
        tiny_imagenet.find(native)


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \n", "\t \r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lists_of_tiny_imagenet_are_read_however_their_lines_end(native, ending, mark):
    expected = tiny_imagenet.find(native)
    for name in ("wnids.txt", "val/val_annotations.txt"):
        text = (native / name).read_text().replace("\n", ending)
        (native / name).write_bytes(mark + text.encode())
    found = tiny_imagenet.find(native)
    assert (found.classes, found.train.names, found.test.names) == (
        expected.classes,
        expected.train.names,
        expected.test.names,
    )
    assert np.array_equal(found.test.labels, expected.test.labels)


@pytest.mark.parametrize(
    "names, message",
    [
        ("n01\nn02\n".encode("utf-16"), "wnids.txt is in UTF-16: store it as UTF-8"),
        (b"n01\nn\x0002\n", r"wnids.txt names 'n\\x0002', which cannot be the name of a folder"),
        (b"n01\n../n02\n", r"wnids.txt names '\.\./n02', which cannot be the name of a folder"),
        (b"n01\n..\n", r"wnids.txt names '\.\.', which cannot be the name"),
    ],
)
def test_lists_that_are_no_names_are_refused_in_words(native, names, message):
    (native / "wnids.txt").write_bytes(names)
    with pytest.raises(DataError, match=message):
        tiny_imagenet.find(native)


# --- shards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k.1", "a.b.c", "d.x/k", "d.x/k.1", "n01440764_10026.v2", "k..", "jpg"])
def test_keys_may_hold_periods(pair, key):
    fill_shard(pair / "y-train-1.tar", sample(key, 1, 5))
    train = shards.find(pair).train
    assert train.where(4) == f"y-train-1.tar: {key}" and train.labels[-1] == 1
    assert train.read(4) == sample(key, 1, 5)[0][1]


def test_keys_that_share_what_comes_before_their_first_period_are_samples_of_their_own(pair):
    fill_shard(pair / "y-train-1.tar", [*sample("k.1", 0, 5), *sample("k.2", 1, 6), *sample("k", 1, 8)])
    assert shards.find(pair).train.labels[4:].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "field", ["k.mask.png", "k.left.jpg", "k.coarse.cls", "k.json", "k.webp", "k.thumbnail.webp", "k.0.txt"]
)
def test_further_fields_of_a_sample_are_no_samples(pair, field):
    fill_shard(pair / "y-train-1.tar", [(field, b"cat"), *sample("k", 1, 5)])
    train = shards.find(pair).train
    assert len(train.labels) == 5 and train.read(4) == sample("k", 1, 5)[0][1]


@pytest.mark.parametrize(
    "members, message",
    [
        ([("k.left.jpg", b"x"), ("k.cls", b"0")], "sample 'k' has no image"),
        ([("k.1.jpg", b"x")], r"sample 'k\.1' has no class \(.cls\)"),
        ([("k.1.cls", b"1"), ("k.jpg", b"x")], "sample 'k' has no class"),
        ([("k.webp", b"x")], r"shard y-train-1.tar: 'k\.webp' is an image of an unsupported format"),
        ([("k.webp", b"x"), ("k.cls", b"1")], "sample 'k' has no image: 'k.webp' is of an unsupported format"),
        ([("k.BMP", b"x"), ("k.cls", b"1")], "sample 'k' has no image: 'k.BMP' is of an unsupported format"),
        ([*sample("k.1", 0), ("k.1.cls", b"0")], r"holds 'k\.1\.cls' twice"),
        (sample("k.1", "x"), r"'k\.1\.cls' contains b'x', expected a class"),
    ],
)
def test_what_belongs_to_no_sample_is_refused_by_name(pair, members, message):
    fill_shard(pair / "y-train-1.tar", members)
    with pytest.raises(DataError, match=message):
        shards.find(pair)


def test_a_folder_called_like_a_shard_is_refused_beside_shards_and_no_matter_beside_images(pair, folder):
    (pair / "y-train.tar").mkdir()
    with pytest.raises(DataError, match="^y-train.tar is a folder with the name of a shard: rename it"):
        shards.find(pair)
    (folder / "test").rename(folder / "val")
    before = sizes_hash(imagenet.find(folder))
    (folder / "x-train.tar").mkdir()
    assert sizes_hash(imagenet.find(folder)) == before
    (folder / "x-train.tar").rmdir()
    (folder / "train/n01.tar").write_bytes(b"x")
    with pytest.raises(DataError, match="no shard of split 'val': .*; remove 'train/n01.tar' if it is not a shard"):
        imagenet.find(folder)


@pytest.mark.parametrize("members", [sample(".1", 1), sample("a/.1", 1), [(".png", b"x")], [("b/.cls", b"1")]])
def test_a_key_that_begins_with_a_period_is_refused_by_name(pair, members):
    fill_shard(pair / "y-train-1.tar", members)
    with pytest.raises(DataError, match=f"shard y-train-1.tar: '{members[0][0]}' is hidden"):
        shards.find(pair)


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("name", ["x-train-7.tar", "x-val-7.tar", "train/0.tar", "val/0.tar"])
def test_one_shard_under_two_names_is_refused_by_both(pair, link, name):
    (pair / name).parent.mkdir(exist_ok=True)
    link(pair / "x-train-0.tar", pair / name)
    with pytest.raises(DataError) as error:
        shards.find(pair)
    words = str(error.value)
    assert "are one file" in words and "'x-train-0.tar'" in words and f"'{name}'" in words


@pytest.mark.parametrize("split", ["train", "val"])
def test_shards_are_not_read_a_second_time_by_a_link_to_the_folder_around_them(pair, split):
    (pair / split).symlink_to(".")
    with pytest.raises(DataError, match=f"'{split}/x-(train|val)-0.tar' names both splits"):
        shards.find(pair)


@pytest.mark.parametrize(
    "within, name", [("train", "x-val-1.tar"), ("train", "x-VALIDATION-1.tar"), ("val", "train.tar")]
)
def test_a_shard_that_names_another_split_than_its_folder_is_refused(pair, within, name):
    (pair / within).mkdir()
    fill_shard(pair / within / name, sample("k", 1))
    with pytest.raises(DataError, match=f"shard '{within}/{name}' names both splits: rename it"):
        shards.find(pair)


def tar_of(folder, name, members):
    fill_shard(folder / f"{name}.part", members)
    data = (folder / f"{name}.part").read_bytes()
    (folder / f"{name}.part").unlink()
    return data


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("between", [0, 512, 3 * 2**20])
def test_shards_joined_by_cat_are_read_to_their_end(pair, parts, between):
    joined = [tar_of(pair, f"{i}", sample(f"{i}", i % 2, 20 + i)) for i in range(parts)]
    (pair / "y-train-1.tar").write_bytes(bytes(between).join(joined) + bytes(between))
    train = shards.find(pair).train
    assert [train.where(4 + i) for i in range(parts)] == [f"y-train-1.tar: {i}" for i in range(parts)]
    assert [train.read(4 + i) for i in range(parts)] == [sample("", 0, 20 + i)[0][1] for i in range(parts)]


@pytest.mark.parametrize(
    "after, message",
    [
        (b"x", "y-train-1.tar cannot be read: |is damaged or cut short"),
        (bytes(511) + b"x", "cannot be read|is damaged or cut short"),
        (b"x" * 10240, "cannot be read: invalid header|is damaged or cut short"),
    ],
)
def test_what_follows_the_end_of_a_shard_and_is_no_archive_is_refused(pair, after, message):
    (pair / "y-train-1.tar").write_bytes(tar_of(pair, "y", sample("k", 1)) + after)
    with pytest.raises(DataError, match=message):
        shards.find(pair)


def test_a_second_part_that_is_cut_short_is_refused(pair):
    joined = tar_of(pair, "1", sample("k", 1)) + tar_of(pair, "2", sample("l", 1))
    for length in range(len(joined) // 2 + 1, len(joined) // 2 + 2600, 257):
        (pair / "y-train-1.tar").write_bytes(joined[:length])
        with pytest.raises(DataError, match="y-train-1.tar"):
            shards.find(pair)


def test_a_sample_that_two_joined_shards_both_hold_is_refused(pair):
    (pair / "y-train-1.tar").write_bytes(2 * tar_of(pair, "1", sample("k", 1)))
    with pytest.raises(DataError, match="holds 'k.jpg' twice"):
        shards.find(pair)


def test_an_index_that_was_kept_before_is_not_taken_for_one_of_now(pair, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setattr(shards, "INDEX", 1)
    shards.find(pair, cache)
    monkeypatch.undo()
    before = set(cache.iterdir())
    shards.find(pair, cache)
    assert len(set(cache.iterdir()) - before) == 2


@pytest.mark.parametrize("name", ["x-train-1.tar.gz", "train/0.tgz", "val/0.tar.zst", "x-val.TAR.XZ"])
def test_compressed_shards_beside_others_are_refused_by_name(pair, name):
    (pair / name).parent.mkdir(exist_ok=True)
    (pair / name).write_bytes(b"x")
    with pytest.raises(DataError, match=f"shard '{name}' is compressed: decompress it"):
        shards.find(pair)


def test_a_shard_whose_suffix_is_in_capitals_is_read(pair):
    fill_shard(pair / "Y-TRAIN-1.TAR", sample("k", 1, 5))
    assert len(shards.find(pair).train.labels) == 5


@pytest.mark.parametrize("split", ["train", "val"])
def test_shards_without_a_sample_are_refused(pair, split):
    fill_shard(pair / f"x-{split}-0.tar", [("readme.md", b"x")])
    with pytest.raises(DataError, match=f"the shards of {split} contain no sample"):
        shards.find(pair)


def test_an_index_that_cannot_be_kept_is_read_from_the_shards(pair, tmp_path):
    (tmp_path / "file").write_text("")
    assert sizes_hash(shards.find(pair, tmp_path / "file/within")) == sizes_hash(shards.find(pair))


# --- words ------------------------------------------------------------------------------------------------------------


def test_no_message_names_an_object_in_memory(folder):
    (folder / "train/cat/000.png").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError) as error:
        load("mine", folder=folder)
    assert str(error.value) == "image train/cat/000.png cannot be read: it is neither a JPEG nor a PNG"
    assert reason(ValueError("no file <_io.BytesIO object at 0x7f3a> here")) == "no file here"
    assert reason(ValueError("<x.Y object at 0xAB>")) == "ValueError" and reason(OSError(2, "gone")) == "[Errno 2] gone"


def test_a_file_in_place_of_a_data_folder_is_called_one(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"x")
    for name in ("cifar10", "mine", "tiny-imagenet", "imagenet"):
        with pytest.raises(
            DataError, match="'cifar-10-binary.tar.gz' is a file, not a folder of data: give the folder"
        ):
            load(name, folder=tmp_path / "cifar-10-binary.tar.gz", image_size=8 if name == "imagenet" else 0)
    with pytest.raises(DataError, match="data folder 'nowhere' does not exist"):
        load("mine", folder=tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="'pipe' is a file, not a folder of data"):
        load("mine", folder=tmp_path / "pipe")
