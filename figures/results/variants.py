"""Protocols and accuracies, by which one results folder is drawn, and the names of their files. Pure."""

import re

OURS_PROTOCOL = "ours"
AUTHORS_PROTOCOL = "authors"
KNOWN_PROTOCOLS = (OURS_PROTOCOL, AUTHORS_PROTOCOL)
EVERY_PROTOCOL = "every"  # of records that hold the studies of all protocols, and of what shows them side by side
LAST_EPOCH = "last"
BEST_EPOCH = "best"
SELECTED_ON_TEST_SET = (
    "Accuracy is the best of a level's epochs: it is selected on the test set, and so too high by an unknown amount."
)
SELECTED = "best epoch, selected on the test set"  # the same in few words, for the scope of a claim
_UNMARKED = (OURS_PROTOCOL, EVERY_PROTOCOL, LAST_EPOCH)


def file_suffix(protocol: str = OURS_PROTOCOL, accuracy: str = LAST_EPOCH) -> str:
    """What the names of files say of protocol and accuracy: "" for the usual, or "-authors-best".

    It ends the names of pictures (`fig3-authors`), of the claims' tables and of the report.
    """
    return "".join(f"-{word}" for word in (protocol, accuracy) if word not in _UNMARKED)


def protocol_mark(protocol: str) -> str:
    """The words that mark what shows a protocol: "" for ours, or "protocol authors"."""
    return "" if protocol in _UNMARKED else f"protocol {protocol}"


def with_protocol(command: str, protocol: str) -> str:
    """A command line of `paper_repro.py` with the option of its protocol, which ours does not need."""
    return command if protocol in _UNMARKED else f"{command} --protocol {protocol}"


def with_accuracy(command: str, accuracy: str) -> str:
    """A command line that draws, with the option of its accuracy; the last epoch's needs none."""
    return command if accuracy == LAST_EPOCH else f"{command} --accuracy {accuracy}"


def plain_preset(preset: str) -> str:
    """A study's `preset` text without its protocol: "quick, lr=0.2" of "quick, authors, lr=0.2"."""
    return re.sub(rf", ({'|'.join(KNOWN_PROTOCOLS)})(?=,|$)", "", preset, count=1)
