"""What differs between the records of two runs that are the same: tests compare the rest."""

# from run to run: times, checksums, and what was measured of the machine
OF_THE_MOMENT = frozenset({"checksum", "seconds", "images_per_s", "provenance", "files", "metrics_sha256"})
# and by where, and by which code, a level was made
OF_THE_PLACE = OF_THE_MOMENT | {"environments", "depends_on"}


def of_any_run(record: dict) -> dict:
    """What a record of one run shares with that of the same run at another time."""
    return {name: value for name, value in record.items() if name not in OF_THE_MOMENT}
