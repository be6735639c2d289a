"""Protocols, and the names of what is made from the results of one of them. Pure."""

import re

OURS_PROTOCOL, AUTHORS_PROTOCOL, LAST_ACCURACY = "ours", "authors", "last"
KNOWN_PROTOCOLS = (OURS_PROTOCOL, AUTHORS_PROTOCOL)
EVERY_PROTOCOL = "every"  # of records that hold the studies of all protocols, and of what shows them side by side
_UNMARKED = (OURS_PROTOCOL, EVERY_PROTOCOL, LAST_ACCURACY)


def file_suffix(protocol: str = OURS_PROTOCOL, accuracy: str = LAST_ACCURACY) -> str:
    """What the name of a file says of its protocol and accuracy: "" for the defaults, or "-authors".

    It ends the names of pictures (`fig3-authors`), of the claims' tables and of the report.
    """
    return "".join(f"-{word}" for word in (protocol, accuracy) if word not in _UNMARKED)


def protocol_mark(protocol: str) -> str:
    """The words that mark what shows a protocol: "" for ours, or "protocol authors"."""
    return "" if protocol in _UNMARKED else f"protocol {protocol}"


def with_protocol(command: str, protocol: str) -> str:
    """A command line of `paper_repro.py` with the option of its protocol, which ours does not need."""
    return command if not protocol_mark(protocol) else f"{command} --protocol {protocol}"


def plain_preset(preset: str) -> str:
    """A study's `preset` text without its protocol: "quick, lr=0.2" of "quick, authors, lr=0.2"."""
    return re.sub(rf", ({'|'.join(KNOWN_PROTOCOLS)})(?=,|$)", "", preset, count=1)
