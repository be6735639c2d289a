import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from tiny_runs import clip

from empirics import datasets
from empirics.datasets import DataError
from empirics.seeding import generator


@pytest.fixture
def folder(tmp_path):
    """A tiny image folder of real digits, as colour PNG files."""
    bunch = load_digits()
    for split, start in (("train", 0), ("test", 100)):
        for i in range(start, start + 12):
            path = tmp_path / "pictures" / split / f"class-{i % 3}" / f"{i:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = (bunch.images[i] * 15).astype(np.uint8)
            Image.fromarray(np.stack([pixels] * 3, -1)).save(path)
    return tmp_path / "pictures"


def test_digits_are_the_fixed_split_of_the_definition():
    bunch, order = load_digits(), np.random.default_rng(1234).permutation(1797)
    data = datasets.digits()
    assert (len(data.train), len(data.test), data.train.images.dtype) == (1297, 500, torch.uint8)
    assert torch.equal(data.train.images[0, 0], torch.from_numpy(bunch.images[order[0]]).to(torch.uint8))
    assert data.test.labels.tolist() == bunch.target[order[1297:]].tolist()


def test_normalised_training_pixels_have_mean_zero_and_deviation_one():
    data = datasets.digits()
    x = data.normalise(data.train.images)
    assert abs(float(x.mean())) < 1e-5 and float(x.std(correction=0)) == pytest.approx(1, abs=1e-5)
    # pixels / 16 first, as the definition says, changes nothing: mean and deviation scale along
    scaled = data.train.images.float() / 16
    assert torch.allclose((scaled - scaled.mean()) / scaled.std(correction=0), x, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_batched_crops_equal_a_loop_over_images(flip):
    data = clip(datasets.digits(), 50)
    data = datasets.build("x", data.train, data.test, 10, 2, flip)
    choices = datasets.draw_augmentation(data, generator(0, "data", 0, 0))
    padded = datasets.pad_images(data.train.images, 2)
    found = datasets.crop_batch(padded, choices.order, choices.shifts, choices.flips, (8, 8))
    for k, i in enumerate(choices.order.tolist()):
        top, left = choices.shifts[k].tolist()
        expected = padded[i, :, top : top + 8, left : left + 8]
        expected = expected.flip(-1) if choices.flips[k] else expected
        assert torch.equal(found[k], expected)
    assert bool(choices.flips.any()) == flip
    assert choices.shifts.min() == 0 and choices.shifts.max() == 4


def test_the_first_images_of_each_class_are_taken_in_order():
    data = datasets.digits()
    few = datasets.first_per_class(data, 5)
    assert torch.bincount(few.train.labels).tolist() == [5] * 10 and len(few.test) == 500
    sevens = (data.train.labels == 7).nonzero().flatten()[:5]
    assert torch.equal(few.train.images[few.train.labels == 7], data.train.images[sevens])
    assert torch.equal(few.mean, data.mean)
    with pytest.raises(DataError, match="images_per_class 1000 is too many"):
        datasets.first_per_class(data, 1000)


def test_a_shift_brings_in_the_minimum():
    data = datasets.digits()
    padded = datasets.pad_images(data.train.images, 1)
    assert padded[:, :, 0].max() == 0 == int(data.train.images.min())


def test_a_generator_depends_on_seed_purpose_level_and_epoch():
    data = datasets.digits()
    draw = lambda *key: datasets.draw_augmentation(data, generator(*key)).order.tolist()  # noqa: E731
    base = draw(0, "data", 1, 2)
    assert base == draw(0, "data", 1, 2)
    assert all(base != draw(*key) for key in [(1, "data", 1, 2), (0, "data", 2, 2), (0, "data", 1, 3), (0, "x", 1, 2)])


def test_an_image_folder_is_read_in_sorted_order_and_cached(folder, tmp_path):
    data = datasets.load("pictures", folder=folder, cache=tmp_path / "cache")
    assert (len(data.train), len(data.test), data.classes, data.train.images.shape[1:]) == (12, 12, 3, (3, 8, 8))
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    files = list((tmp_path / "cache").glob("*.npy"))
    assert len(files) == 2
    for damage in (lambda f: None, lambda f: np.save(f, np.zeros_like(np.load(f))), lambda f: f.write_bytes(b"torn")):
        for file in files:
            damage(file)
        again = datasets.load("pictures", folder=folder, cache=tmp_path / "cache")
        assert torch.equal(again.train.images, data.train.images) and torch.equal(again.mean, data.mean)


def test_hidden_folders_and_folders_named_like_images_are_no_data(folder):
    before = datasets.folder_hash(folder)
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "class-0" / "folder.png").mkdir()
    assert datasets.folder_hash(folder) == before


def test_the_hash_of_a_folder_follows_its_content_and_not_its_place(folder, tmp_path):
    before = datasets.folder_hash(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    assert datasets.folder_hash(moved) == before
    Image.new("RGB", (8, 8)).save(moved / "test" / "class-0" / "0102.png")
    assert datasets.folder_hash(moved) != before


def remove_split(folder):
    for path in sorted((folder / "test").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "test").rmdir()


def truncate(folder):
    path = folder / "train" / "class-0" / "0003.png"
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    "damage, message",
    [
        (remove_split, "has no folder 'test': expected DIR/train/CLASS/IMAGE"),
        (truncate, "train/class-0/0003.png cannot be read"),
        (lambda f: Image.new("RGB", (9, 8)).save(f / "test/class-1/9.png"), "test/class-1/9.png is 9x8"),
        (lambda f: Image.fromarray(np.zeros((8, 8), np.uint16)).save(f / "train/class-0/0000.png"), "more than 8 bits"),
        (lambda f: (f / "train/class-9").mkdir(), r"same classes; in one of them only: \['class-9'\]"),
        (lambda f: [p.unlink() for p in (f / "test/class-1").iterdir()], "class 'class-1' has no image in test"),
    ],
)
def test_a_damaged_folder_is_refused_with_the_place_named(folder, damage, message):
    damage(folder)
    with pytest.raises(DataError, match=message):
        datasets.load("pictures", folder=folder)


def test_a_missing_folder_shows_the_expected_layout(tmp_path):
    with pytest.raises(DataError, match="does not exist: expected DIR/train/CLASS/IMAGE"):
        datasets.load("pictures", folder=tmp_path / "nowhere")
    with pytest.raises(DataError, match="did you mean 'digits'.*--data-dir"):
        datasets.load("digit")
