"""A few small images, and the folders, shards and archives that they come in."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from empirics.data.cifar import BYTES_AN_IMAGE, Archive, Cifar

CLASSES = ("cat", "dog", "owl")


def picture(number: int, width: int = 8, height: int = 8) -> Image.Image:
    """Noise around a colour of its own."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 120, (height, width, 3)) + rng.integers(0, 130, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def fill_folder(folder: Path, splits=("train", "test"), per_class=(4, 2), sizes=((8, 8),), kind="PNG") -> Path:
    """DIR/SPLIT/CLASS/IMAGE; sizes take turns."""
    number = 0
    for split, count in zip(splits, per_class, strict=True):
        for name in CLASSES:
            for _ in range(count):
                path = folder / split / name / f"{number:03d}.{kind.lower()}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(picture(number, *sizes[number % len(sizes)]), kind))
                number += 1
    return folder


def fill_shard(file: Path, members) -> Path:
    """A tar file of (name, content)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, content in members:
            add_member(tar, name, content)
    return file


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def shards_of(images, target: Path, split: str, a_shard: int) -> None:
    """The images of a split, in their order, as shards of so many."""
    places = range(len(images.labels))
    for start in places[::a_shard]:
        members = []
        for i in places[start : start + a_shard]:
            members += [(f"s/{i:05d}.jpg", images.read(i)), (f"s/{i:05d}.cls", str(images.labels[i]).encode())]
        fill_shard(target / f"x-{split}-{start:04d}.tar", members)


def tiny_cifar(label_bytes: int = 1, folder: str = "bin") -> Cifar:
    """Facts of a data set of 3 classes, 12 training images in two files and 6 test images; none of its archive."""
    train = {"one.bin": 6, "two.bin": 6}
    return Cifar(
        Archive("cifar10", "tiny.tar.gz", "", 0, ""), folder, train, {"test.bin": 6}, label_bytes, len(CLASSES)
    )


def cifar_files(cifar: Cifar) -> dict[str, bytes]:
    """Content of its files: labels 0, 1, 2, 0, ... and noise; coarse labels, where there are, are 99."""
    rng, files = np.random.default_rng(1), {}
    for name, count in {**cifar.train, **cifar.test}.items():
        records = rng.integers(0, 256, (count, cifar.label_bytes + BYTES_AN_IMAGE)).astype(np.uint8)
        records[:, 0], records[:, cifar.label_bytes - 1] = 99, np.arange(count) % cifar.classes
        files[name] = records.tobytes()
    return files


def facts_of(file: Path) -> dict:
    data = file.read_bytes()
    return {"size": len(data), "md5": hashlib.md5(data).hexdigest()}
