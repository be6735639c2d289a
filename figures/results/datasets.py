"""Facts of data sets that no record states: of the paper's, and of those in old records."""

# The data sets on which the paper trains networks, in its order: name, here also the preset's -> title.
PAPER_DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "tiny-imagenet": "Tiny ImageNet",
    "imagenet": "ImageNet",
}

# Serves old records alone: a study's record states `title` and `classes` of its data set itself since then, so a new
# data set has no entry here. Data set -> title, number of classes.
OF_OLD_RECORDS = {
    "digits": ("digits", 10),
    "cifar10": (PAPER_DATASETS["cifar10"], 10),
    "cifar10-jpeg": ("CIFAR-10 (JPEG)", 10),
    "cifar100": (PAPER_DATASETS["cifar100"], 100),
    "tiny-imagenet": (PAPER_DATASETS["tiny-imagenet"], 200),
    "imagenet": (PAPER_DATASETS["imagenet"], 1000),
}


def facts_unstated(dataset: str) -> tuple[str, int | None]:
    """The title and the number of classes of a data set whose study states neither.

    The name of an unknown data set is its title, and its number of classes is not known.
    """
    return OF_OLD_RECORDS.get(dataset, (dataset, None))
