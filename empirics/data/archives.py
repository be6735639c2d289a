"""The archives that data sets are published in: where they are, and the size and MD5 that tell a whole one."""

from dataclasses import dataclass
from pathlib import Path

from empirics.storage.data_files import DamagedData, file_hash


@dataclass(frozen=True)
class Archive:
    """What is known of a published archive.

    Args:
        dataset: the data set that it holds, a key of `datasets.DATASETS`.
        file: its name.
        url: where it is published.
        size: in bytes.
        md5: of its content, in hexadecimal; as published, against damage and mix-ups.
    """

    dataset: str
    file: str
    url: str
    size: int
    md5: str


def check_archive(path: Path, archive: Archive) -> None:
    """Refuse an archive that is not, byte for byte, the published one.

    Raises:
        DamagedData: what is wrong with it and what to do.
    """
    do = f"delete it and run `paper_repro.py data fetch {archive.dataset}`"
    try:
        size = path.stat().st_size
        if size != archive.size:
            raise DamagedData(f"{path.name} has {size} bytes, the published archive {archive.size}: {do}")
        found = file_hash(path, "md5")
    except OSError as error:
        raise DamagedData(f"{path.name} cannot be read: {error.strerror}") from None
    if found != archive.md5:
        raise DamagedData(f"{path.name} has MD5 {found}, the published archive {archive.md5}: {do}")


# Size and MD5 as published at https://www.cs.toronto.edu/~kriz/cifar.html (the binary versions).
ARCHIVES = {
    archive.dataset: archive
    for archive in (
        Archive(
            "cifar10",
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170052171,
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
        Archive(
            "cifar100",
            "cifar-100-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            168513733,
            "03b5dce01913d631647c71ecec9e9cb8",
        ),
    )
}
