import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from empirics.data import datasets, imagenet, in_memory
from empirics.data.datasets import DATASETS, DataError, InMemory, content_hash, load, subset
from empirics.data.images import class_folders
from empirics.data.streaming import Stream
from empirics.seeding import generator
from tests.empirics.tiny_images import cifar_files, encoded, fill_folder, picture, shards_of, tiny_cifar
from tests.empirics.tiny_runs import clip


@pytest.fixture
def folder(tmp_path):
    return fill_folder(tmp_path / "pictures")


def test_digits_are_the_fixed_split_of_the_definition():
    bunch, order = load_digits(), np.random.default_rng(1234).permutation(1797)
    data = load("digits")
    assert (len(data.train), len(data.test), data.train.images.dtype) == (1297, 500, torch.uint8)
    assert torch.equal(data.train.images[0, 0], torch.from_numpy(bunch.images[order[0]]).to(torch.uint8))
    assert data.test.labels.tolist() == bunch.target[order[1297:]].tolist()
    assert (data.classes, data.shape, data.pad, data.flip, content_hash("digits", None)) == (
        10,
        (1, 8, 8),
        1,
        False,
        "",
    )


def test_normalised_training_pixels_have_mean_zero_and_deviation_one():
    data = datasets.digits()
    x = data.normalise(data.train.images)
    assert abs(float(x.mean())) < 1e-5 and float(x.std(correction=0)) == pytest.approx(1, abs=1e-5)
    # pixels / 16 first, as the definition says, changes nothing: mean and deviation scale along
    scaled = data.train.images.float() / 16
    assert torch.allclose((scaled - scaled.mean()) / scaled.std(correction=0), x, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_training_batches_equal_a_loop_over_images(flip):
    data = clip(datasets.digits(), 50)
    data = datasets.build("x", data.train, data.test, 10, 2, flip)
    choices = in_memory.draw_augmentation(50, 2, flip, generator(0, "data", 0, 0))
    padded = torch.nn.functional.pad(data.train.images, (2, 2, 2, 2))
    batches = list(data.training_batches(16, generator(0, "data", 0, 0)))
    assert [len(labels) for _, labels in batches] == [16, 16, 16]
    found, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    for k, i in enumerate(choices.order.tolist()[:48]):
        top, left = choices.shifts[k].tolist()
        expected = padded[i, :, top : top + 8, left : left + 8]
        expected = expected.flip(-1) if choices.flips[k] else expected
        assert torch.equal(found[k], data.normalise(expected[None])[0]) and labels[k] == data.train.labels[i]
    assert bool(choices.flips.any()) == flip
    assert choices.shifts.min() == 0 and choices.shifts.max() == 4 and sorted(choices.order.tolist()) == list(range(50))


def test_batches_are_every_image_in_order():
    data = datasets.digits()
    found, labels = (torch.cat(parts) for parts in zip(*data.batches("train"), strict=True))
    assert torch.equal(found, data.normalise(data.train.images)) and torch.equal(labels, data.train.labels)
    index = torch.tensor([7, 0, 7])
    some, labels = data.images_at("test", index)
    assert torch.equal(some, data.normalise(data.test.images[index])) and torch.equal(labels, data.test.labels[index])
    assert data.labels("validation").tolist() == []


def test_the_first_images_of_each_class_are_taken_in_order():
    data = datasets.digits()
    few = subset(data, 5, 0)
    assert torch.bincount(few.train.labels).tolist() == [5] * 10 and len(few.test) == 500
    sevens = (data.train.labels == 7).nonzero().flatten()[:5]
    assert torch.equal(few.train.images[few.train.labels == 7], data.train.images[sevens])
    assert torch.equal(few.mean, data.mean) and few.validation is None
    assert subset(data, 0, 0) is data
    with pytest.raises(DataError, match="class 0 has .* training images: images_per_class 1000 .* need more"):
        subset(data, 1000, 0)


def test_the_last_images_of_each_class_are_held_out():
    data = datasets.digits()
    held, few = subset(data, 0, 20), subset(data, 5, 20)
    assert torch.bincount(held.labels("validation")).tolist() == [20] * 10
    assert len(held.train) == 1297 - 200 and len(few.train) == 50
    sevens = (data.train.labels == 7).nonzero().flatten()
    assert torch.equal(held.validation.images[held.validation.labels == 7], data.train.images[sevens[-20:]])
    assert torch.equal(few.validation.images, held.validation.images)
    with pytest.raises(DataError, match="validation_per_class 500 together need more"):
        subset(data, 0, 500)


def test_a_generator_depends_on_seed_purpose_level_and_epoch():
    draw = lambda *key: in_memory.draw_augmentation(99, 1, True, generator(*key)).order.tolist()  # noqa: E731
    base = draw(0, "data", 1, 2)
    assert base == draw(0, "data", 1, 2)
    assert all(base != draw(*key) for key in [(1, "data", 1, 2), (0, "data", 2, 2), (0, "data", 1, 3), (0, "x", 1, 2)])


@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_folder_is_held_in_memory_and_cached(folder, tmp_path, threads):
    data = load("pictures", folder=folder, cache=tmp_path / "cache", threads=threads)
    assert isinstance(data, InMemory) and (data.classes, data.shape, data.pad, data.flip) == (3, (3, 8, 8), 1, True)
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4 and len(data.test) == 6
    for place in (0, 11):
        assert torch.equal(data.train.images[place], torch.from_numpy(np.array(picture(place))).permute(2, 0, 1))
    digest = content_hash("pictures", folder)
    names = {f"pictures-{digest[:16]}-{split}.{suffix}" for split in ("train", "test") for suffix in ("npy", "sha256")}
    assert {file.name for file in (tmp_path / "cache").iterdir()} == names
    # an image that is changed unseen: the pixels come from the cache
    (folder / "train" / "cat" / "001.png").write_bytes(encoded(picture(99)))
    again = load("pictures", folder=folder, cache=tmp_path / "cache", data_hash=digest)
    assert torch.equal(again.train.images, data.train.images) and torch.equal(again.mean, data.mean)
    seen = load("pictures", folder=folder, cache=tmp_path / "cache")
    assert not torch.equal(seen.train.images, data.train.images)


def test_the_shift_of_a_folder_is_an_eighth_of_the_size(tmp_path):
    data = load("x", folder=fill_folder(tmp_path / "x", sizes=((64, 64),)))
    assert (data.pad, data.flip) == (8, True)


def test_a_folder_of_several_sizes_is_refused_in_memory_and_streamed_with_an_image_size(tmp_path):
    folder = fill_folder(tmp_path / "x", sizes=((30, 20), (25, 25), (20, 30)))
    for read in (load, lambda name, folder: content_hash(name, folder)):
        with pytest.raises(DataError, match="dog/004.png is 25x25, the first is 30x20: .*--image-size N streams"):
            read("x", folder=folder)
    data = load("x", folder=folder, image_size=16, threads=2)
    assert isinstance(data, Stream) and data.shape == (3, 16, 16) and data.threads == 2
    assert len(content_hash("x", folder, 16)) == 64


def test_streamed_and_held_images_have_hashes_of_their_own(folder):
    assert content_hash("x", folder) != content_hash("x", folder, 16) == content_hash("y", folder, 32)


def test_imagenet_is_streamed_from_folders_and_from_shards_with_its_published_moments(tmp_path):
    folders = fill_folder(tmp_path / "folders", splits=("train", "val"), sizes=((30, 20),), kind="JPEG")
    images = class_folders(folders)
    for split, part in (("train", images.train), ("validation", images.test)):
        shards_of(part, tmp_path / "shards", split, 5)
    a, b = (load("imagenet", folder=tmp_path / kind, image_size=16) for kind in ("folders", "shards"))
    for x, y in zip(a.training_batches(5, generator(0, "d")), b.training_batches(5, generator(0, "d")), strict=True):
        assert torch.equal(x[0], y[0]) and torch.equal(x[1], y[1])
    assert a.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert a.std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])
    hashes = {content_hash("imagenet", tmp_path / kind, 16) for kind in ("folders", "shards")}
    assert len(hashes) == 2 and content_hash("imagenet", tmp_path / "shards", 16, tmp_path / "cache") in hashes
    assert len(list((tmp_path / "cache").glob("shards-*.npz"))) == 2


@pytest.mark.parametrize("read", [load, lambda name, **request: content_hash(name, **request)])
def test_what_cannot_be_read_as_asked_is_refused_with_what_to_do(folder, tmp_path, read):
    for name, request, message in [
        ("digit", {"folder": None}, "did you mean 'digits'.*--data-dir: expected DIR/train/CLASS/IMAGE"),
        ("cifar10", {"folder": None}, "'cifar10' is read from a folder: give it with --data-dir"),
        ("cifar10", {"folder": folder}, "does not hold cifar10: .*images give it a name: --dataset-name NAME"),
        ("cifar100", {"folder": folder}, "does not hold cifar100: expected cifar-100-binary.tar.gz"),
        ("tiny-imagenet", {"folder": folder}, "has no 'wnids.txt'"),
        ("imagenet", {"folder": folder}, r"imagenet does not fit into memory: give --image-size \(224"),
        (
            "imagenet",
            {"folder": folder, "image_size": 16},
            "has no folder 'val': expected train/WNID/IMAGE and val/WNID",
        ),
        ("imagenet", {"folder": tmp_path / "no", "image_size": 16}, "'no' does not exist: expected train/WNID"),
        ("pictures", {"folder": tmp_path / "no"}, "'no' does not exist: expected DIR/train/CLASS/IMAGE"),
    ]:
        with pytest.raises(DataError, match=message):
            read(name, **request)


def test_data_held_in_memory_take_no_image_size(folder):
    for name in ("digits", "cifar10"):
        with pytest.raises(DataError, match=f"{name} is held in memory as it is: image_size must be 0, got 16"):
            load(name, folder=folder, image_size=16)


def test_validation_images_without_class_folders_are_explained(tmp_path):
    folder = fill_folder(tmp_path / "x", splits=("train", "val"), kind="JPEG")
    (folder / "val" / "ILSVRC2012_val_00000001.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match="ILSVRC2012_val_00000001.JPEG is in no class folder: move .* to val/WNID/"):
        imagenet.find(folder)


def test_cifar_is_read_through_its_name(tmp_path, monkeypatch):
    facts = tiny_cifar()
    (tmp_path / "bin").mkdir()
    for name, content in cifar_files(facts).items():
        (tmp_path / "bin" / name).write_bytes(content)
    monkeypatch.setitem(DATASETS, "cifar10", datasets._cifar(dataclasses.replace(facts), "tiny"))
    digest = content_hash("cifar10", tmp_path)
    data = load("cifar10", folder=tmp_path, data_hash=digest, cache=tmp_path / "cache")
    assert len(digest) == 64 and data.labels("test").tolist() == [0, 1, 2] * 2
    assert (tmp_path / "cache" / f"cifar10-{digest[:16]}.npy").exists()


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_what_it_is_and_what_it_needs(name, tmp_path):
    source = DATASETS[name]
    assert source.about and "\n" not in source.about
    if source.needs_folder:
        with pytest.raises(DataError, match=str(tmp_path.name)):
            load(name, folder=tmp_path, image_size=16 if source.streamed else 0)
