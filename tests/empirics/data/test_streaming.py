import itertools
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from empirics import train
from empirics.data import datasets, streaming
from empirics.data.images import class_folders
from empirics.data.shards import find
from empirics.data.streaming import random_box, stream
from empirics.seeding import generator
from empirics.storage.data_files import DataError
from tests.empirics.tiny_images import encoded, fill_folder, picture, shards_of

SIZE = 16
SIZES = ((30, 20), (20, 30), (25, 25))
MOMENTS = tuple(torch.tensor(v)[:, None, None] for v in ((120.0, 110.0, 100.0), (50.0, 60.0, 70.0)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fill_folder(tmp_path_factory.mktemp("d") / "pictures", per_class=(7, 2), sizes=SIZES, kind="JPEG")


@pytest.fixture(scope="module")
def data(folder):
    return stream("pictures", class_folders(folder), SIZE, 1, MOMENTS)


@pytest.fixture
def own_folder(tmp_path):
    """A folder that a test may damage."""
    return fill_folder(tmp_path / "pictures", per_class=(7, 2), sizes=SIZES, kind="JPEG")


def no_threads():
    return not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def epoch(data, seed=0, batch_size=4):
    return list(data.training_batches(batch_size, generator(seed, "data")))


def same(a, b):
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


def decoded(images, place):
    with Image.open(images.folder / images.names[place]) as image:
        return image.convert("RGB")


def normalised(view):
    mean, std = (m.flatten().numpy() for m in MOMENTS)
    return torch.from_numpy(((np.asarray(view).astype(np.float32) - mean) / std).transpose(2, 0, 1))


def test_training_batches_equal_a_loop_over_images(folder, data):
    images, draw = class_folders(folder).train, generator(0, "data")
    order, seeds = torch.randperm(21, generator=draw), torch.randint(0, 2**63 - 1, (21,), generator=draw)
    batches = epoch(data)
    assert [tuple(x.shape) for x, _ in batches] == [(4, 3, SIZE, SIZE)] * 5 and batches[0][0].dtype == torch.float32
    for k, (place, seed) in enumerate(zip(order.tolist()[:20], seeds.tolist(), strict=False)):
        image, rng = decoded(images, place), np.random.default_rng(seed)
        view = image.crop(random_box(image.width, image.height, rng)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else view
        x, labels = batches[k // 4]
        assert torch.equal(x[k % 4], normalised(view)) and labels[k % 4] == images.labels[place]


def test_evaluation_is_the_centre_of_every_image_in_order(folder, data, monkeypatch):
    monkeypatch.setattr(streaming, "PIXELS_A_BATCH", 4 * SIZE**2)
    images = class_folders(folder).test
    batches = list(data.batches("test"))
    assert [len(y) for _, y in batches] == [4, 2]
    found, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert labels.tolist() == [0, 0, 1, 1, 2, 2] == data.labels("test").tolist()
    for place in range(6):
        image = decoded(images, place)
        side = min(image.size) * 0.875
        left, top = (image.width - side) / 2, (image.height - side) / 2
        view = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
        assert torch.equal(found[place], normalised(view))
    some, _ = data.images_at("test", torch.tensor([5, 0, 5]))
    assert torch.equal(some, found[[5, 0, 5]])


def test_threads_and_shards_change_no_bit(folder, data, tmp_path):
    images = class_folders(folder)
    for split, part in (("train", images.train), ("val", images.test)):
        shards_of(part, tmp_path, split, 8)
    packed = stream("pictures", find(tmp_path), SIZE, 4, MOMENTS)
    threaded = stream("pictures", images, SIZE, 4, MOMENTS)
    for other in (packed, threaded):
        assert same(epoch(other), epoch(data)) and same(list(other.batches("test")), list(data.batches("test")))


def test_another_generator_gives_another_order_and_other_crops(data):
    first, again, other = epoch(data, 0), epoch(data, 0), epoch(data, 1)
    assert same(first, again) and not same(first, other)
    assert [y.tolist() for _, y in first] != [y.tolist() for _, y in other]


def test_every_image_comes_once_an_epoch_up_to_the_dropped_batch(data, monkeypatch):
    seen = []
    read = streaming.read_image
    monkeypatch.setattr(streaming, "read_image", lambda images, place: (seen.append(place), read(images, place))[1])
    assert sum(len(y) for _, y in epoch(data, batch_size=4)) == 20
    assert len(seen) == len(set(seen)) == 20
    seen.clear()
    assert sum(len(y) for _, y in epoch(data, batch_size=7)) == 21 and sorted(seen) == list(range(21))
    assert epoch(data, batch_size=22) == []


def test_two_batches_are_decoded_ahead(data, monkeypatch):
    begun = []
    submit = streaming._submit
    monkeypatch.setattr(streaming, "_submit", lambda *given: (begun.append(1), submit(*given))[1])
    batches = data.training_batches(3, generator(0, "data"))
    for taken, expected in enumerate((3, 4, 5, 6, 7, 7, 7), 1):
        next(batches)
        assert len(begun) == expected, taken
    assert next(batches, None) is None and no_threads()


def test_a_part_of_the_training_images_is_trained_on_and_another_held_out(data):
    part = datasets.subset(data, 3, 2)
    assert part.labels("train").tolist() == [0] * 3 + [1] * 3 + [2] * 3 and part.labels("validation").tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    whole, _ = data.images_at("train", torch.arange(21))
    train, held_out = (next(part.batches(split))[0] for split in ("train", "validation"))
    assert torch.equal(train, whole[[0, 1, 2, 7, 8, 9, 14, 15, 16]]) and torch.equal(
        held_out, whole[[5, 6, 12, 13, 19, 20]]
    )
    assert sorted(torch.cat([y for _, y in epoch(part, batch_size=3)]).tolist()) == part.labels("train").tolist()
    assert part.choose(torch.tensor([8]), torch.tensor([0])).images_at("train", torch.tensor([0]))[0].equal(whole[[16]])
    assert data.labels("validation").tolist() == [] and data.shape == (3, SIZE, SIZE)


def test_a_stream_moves_its_batches_to_a_device(data):
    moved = data.to(torch.device("cpu"))
    assert same(epoch(moved), epoch(data)) and moved.device.type == "cpu"


def test_streamed_batches_lie_in_memory_as_networks_are_trained(data):
    """Images in another memory format would be converted in every step."""
    wanted = train.memory_format(torch.device("cpu"), "float32")
    for batches in (epoch(data), list(data.batches("test"))):
        assert batches and all(images.is_contiguous(memory_format=wanted) for images, _ in batches)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", None])
def test_an_unreadable_image_stops_with_its_name_and_no_thread_is_left(own_folder, threads, content):
    images = class_folders(own_folder)
    file = own_folder / images.train.names[11]
    data = stream("pictures", images, SIZE, threads, MOMENTS)
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(DataError, match="train/dog/011.jpeg cannot be read"):
        epoch(data)
    with pytest.raises(DataError, match="train/dog/011.jpeg cannot be read"):
        data.images_at("train", torch.tensor([3, 11]))
    assert no_threads()


def test_an_iteration_that_is_given_up_leaves_no_thread(data):
    next(data.batches("train"))
    assert no_threads()
    for batches in (data.training_batches(2, generator(0, "x")), data.batches("train")):
        for _ in itertools.islice(batches, 1):
            pass
        del batches
    assert no_threads()


def test_the_first_image_of_every_class_and_split_is_looked_at(own_folder):
    (own_folder / "train" / "owl" / "014.jpeg").write_bytes(b"")
    with pytest.raises(DataError, match="train/owl/014.jpeg cannot be read"):
        stream("pictures", class_folders(own_folder), SIZE, 1, MOMENTS)
    (own_folder / "train" / "owl" / "014.jpeg").write_bytes(encoded(picture(0), "JPEG"))
    (own_folder / "test" / "dog" / "023.jpeg").write_bytes(b"")
    with pytest.raises(DataError, match="test/dog/023.jpeg cannot be read"):
        stream("pictures", class_folders(own_folder), SIZE, 1, MOMENTS)


def test_mean_and_deviation_are_those_of_evenly_spaced_centres(folder, data, monkeypatch):
    whole = stream("pictures", class_folders(folder), SIZE, 2)
    pixels = torch.stack([v for x, _ in data.batches("train") for v in x * MOMENTS[1] + MOMENTS[0]]).double()
    assert torch.allclose(whole.mean.double(), pixels.mean((0, 2, 3))[:, None, None], atol=1e-4)
    assert torch.allclose(whole.std.double(), pixels.std((0, 2, 3), correction=0)[:, None, None], atol=1e-4)
    monkeypatch.setattr(streaming, "SAMPLE", 5)
    few = stream("pictures", class_folders(folder), SIZE, 2)
    assert torch.allclose(few.mean.double(), pixels[[0, 5, 10, 15, 20]].mean((0, 2, 3))[:, None, None], atol=1e-4)
