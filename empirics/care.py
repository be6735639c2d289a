"""How carefully runs are kept: one record, from the command line to the process that trains."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Care:
    """How carefully runs are kept.

    Args:
        threads: of torch in the process that trains.
        checkpoint_epochs: write a checkpoint every so many epochs of a level; 0: only by time.
        checkpoint_minutes: write one after so many minutes.
        bit_exact: refuse to go on from what other versions, hardware or thread counts have made.
    """

    threads: int = 1
    checkpoint_epochs: int = 0
    checkpoint_minutes: float = 5.0
    bit_exact: bool = False
