import dataclasses
import tarfile

import pytest
import torch

from empirics.data import cifar as cifar_module
from empirics.data.cifar import ARCHIVES, CIFAR10, CIFAR100, content_hash, load
from empirics.storage.data_files import DataError
from tests.empirics.tiny_images import add_member, cifar_files, facts_of, fill_folder, tiny_cifar


def pack(folder, cifar, files, extra=lambda tar: None):
    """An archive of these files, and the facts that go with it."""
    folder.mkdir(exist_ok=True)
    file = folder / cifar.archive.file
    with tarfile.open(file, "w:gz") as tar:
        extra(tar)
        for name, content in files.items():
            add_member(tar, f"{cifar.folder}/{name}", content)
    return with_facts(cifar, file)


def with_facts(cifar, file):
    return dataclasses.replace(cifar, archive=dataclasses.replace(cifar.archive, **facts_of(file)))


def unpack(folder, cifar, files):
    (folder / cifar.folder).mkdir(parents=True)
    for name, content in files.items():
        (folder / cifar.folder / name).write_bytes(content)


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_records_are_labels_and_planes_from_an_archive_and_from_a_folder(tmp_path, label_bytes):
    cifar = tiny_cifar(label_bytes)
    files = cifar_files(cifar)
    packed = pack(tmp_path / "packed", cifar, files)
    unpack(tmp_path / "unpacked", cifar, files)
    record = files["two.bin"][: packed.record]  # the seventh training image
    for folder in (tmp_path / "packed", tmp_path / "unpacked", tmp_path / "unpacked" / cifar.folder):
        data = load(packed, folder, "", None)
        assert data.shape == (3, 32, 32) and (len(data.train), len(data.test), data.pad, data.flip) == (12, 6, 4, True)
        assert data.labels("train").tolist() == [0, 1, 2] * 4 and data.labels("test").tolist() == [0, 1, 2] * 2
        for c, y, x in [(0, 0, 0), (0, 0, 31), (1, 0, 0), (2, 31, 31), (1, 17, 5)]:
            assert data.train.images[6, c, y, x] == record[label_bytes + 1024 * c + 32 * y + x]
        pixels = data.train.images.double()
        assert torch.allclose(data.mean.double(), pixels.mean((0, 2, 3))[:, None, None], rtol=1e-6)
        assert torch.allclose(data.std.double(), pixels.std((0, 2, 3), correction=0)[:, None, None], rtol=1e-6)


def test_the_published_archive_needs_no_hash_and_an_unpacked_folder_has_its_own(tmp_path):
    cifar = tiny_cifar()
    files = cifar_files(cifar)
    assert content_hash(pack(tmp_path / "packed", cifar, files), tmp_path / "packed") == ""
    unpack(tmp_path / "a", cifar, files)
    before = content_hash(cifar, tmp_path / "a")
    assert len(before) == 64 and content_hash(cifar, tmp_path / "a" / cifar.folder) == before
    changed = bytearray(files["test.bin"])
    changed[5] ^= 1
    (tmp_path / "a" / cifar.folder / "test.bin").write_bytes(changed)
    assert content_hash(cifar, tmp_path / "a") != before


def test_records_are_cached_and_a_damaged_cache_is_made_anew(tmp_path, monkeypatch):
    cifar = pack(tmp_path / "d", tiny_cifar(), cifar_files(tiny_cifar()))
    made = load(cifar, tmp_path / "d", "", tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(cifar_module, "read_members", None)
        found = load(cifar, tmp_path / "d", "", tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*.npy")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.unlink()
    file.write_bytes(data)
    again, plain = (load(cifar, tmp_path / "d", "", cache) for cache in (tmp_path / "cache", None))
    for data in (made, found, again):
        assert torch.equal(data.train.images, plain.train.images) and torch.equal(data.mean, plain.mean)
        assert torch.equal(data.test.labels, plain.test.labels)


def test_only_the_members_asked_for_are_read_and_nothing_is_written(tmp_path):
    def hostile(tar):
        for name in ("../canary", "/tmp/masks-signs-lrr-canary", "bin/../../canary", "bin/readme.pkl", "./bin/one.bin"):
            add_member(tar, name, b"cos\nsystem\n(S'touch canary'\ntR.")
        link = tarfile.TarInfo("bin/one.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)

    cifar = tiny_cifar()
    cifar = pack(tmp_path / "d", cifar, cifar_files(cifar), hostile)
    assert load(cifar, tmp_path / "d", "", None).labels("train").tolist() == [0, 1, 2] * 4
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["d", "tiny.tar.gz"]


def test_an_archive_that_is_not_the_published_one_is_refused(tmp_path):
    cifar = pack(tmp_path / "d", tiny_cifar(), cifar_files(tiny_cifar()))
    file = tmp_path / "d" / "tiny.tar.gz"
    whole = file.read_bytes()
    for damaged, message in [
        (
            whole[:-1],
            r"tiny.tar.gz has \d+ bytes, the published archive \d+: delete it and run .*data download cifar10",
        ),
        (whole[:-9] + b"x" + whole[-8:], "tiny.tar.gz has MD5 .*, the published archive .*: delete it"),
    ]:
        file.write_bytes(damaged)
        for read in (lambda: content_hash(cifar, tmp_path / "d"), lambda: load(cifar, tmp_path / "d", "", None)):
            with pytest.raises(DataError, match=message):
                read()
    # even if size and MD5 were those of the damaged file
    for keep in (300, len(whole) - 60):
        file.write_bytes(whole[:keep])
        with pytest.raises(DataError, match="tiny.tar.gz is damaged or cut short"):
            load(with_facts(cifar, file), tmp_path / "d", "", None)


def relabel(files, name, place, label):
    content = bytearray(files[name])
    content[place * (len(content) // 6)] = label
    return {**files, name: bytes(content)}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: {n: c for n, c in f.items() if n != "two.bin"}, "two.bin"),
        (lambda f: {**f, "two.bin": f["two.bin"][:-1]}, "two.bin has 18437 bytes, expected 18438"),
        (lambda f: {**f, "two.bin": f["two.bin"] + b"x"}, "two.bin has more bytes, expected 18438"),
        (lambda f: relabel(f, "two.bin", 4, 3), "two.bin: record 4 has label 3, expected 0 to 2"),
        (lambda f: relabel(relabel(f, "test.bin", 1, 0), "test.bin", 4, 0), "class '1' has no image in test"),
        (lambda f: {n: c if n == "test.bin" else f["one.bin"][:3073] * 6 for n, c in f.items()}, "'1' has no .* train"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_files_are_refused_with_their_name(tmp_path, change, message, packed):
    cifar = tiny_cifar()
    files = change(cifar_files(cifar))
    if packed:
        cifar = pack(tmp_path / "d", cifar, files)
    else:
        unpack(tmp_path / "d", cifar, files)
    with pytest.raises(DataError, match=message):
        load(cifar, tmp_path / "d", "", None)


def test_a_folder_of_something_else_is_refused_with_what_to_do(tmp_path):
    for folder in (fill_folder(tmp_path / "pictures"), tmp_path / "nowhere"):
        for read in (lambda: load(CIFAR10, folder, "", None), lambda: content_hash(CIFAR10, folder)):  # noqa: B023
            with pytest.raises(
                DataError, match="cifar-10-binary.tar.gz.*data download cifar10.*images give it a name: --data"
            ):
                read()


def test_the_published_layouts_add_up():
    for cifar, classes in ((CIFAR10, 10), (CIFAR100, 100)):
        assert (sum(cifar.train.values()), sum(cifar.test.values()), cifar.classes) == (50_000, 10_000, classes)
        assert cifar.archive == ARCHIVES[cifar.name]
    # the size of the published unpacked files
    assert CIFAR10.record * 10_000 == 30_730_000 and CIFAR100.record * 50_000 == 153_700_000
