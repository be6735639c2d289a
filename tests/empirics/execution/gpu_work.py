"""Work for workers of a pool, as it goes where a GPU has little memory: worker processes import it from here."""

import os

from tests.support.waiting import wait_for

# what torch says where not even CUDA's context has room
FULL = "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call"
ROOM = 2


def refused(setup) -> list[str]:
    return sorted(file.name for file in setup.results.glob("refused-*"))


def share_a_gpu(task, setup) -> list[str]:
    """There is room for `ROOM` at a time; those that have it stay until another was refused."""
    for number in range(ROOM):
        slot = setup.results / f"slot-{number}"
        try:
            os.close(os.open(slot, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        wait_for(lambda: refused(setup), "another one finds no room")
        slot.unlink()
        return []
    (setup.results / f"refused-{task.seed}").touch()
    raise RuntimeError(FULL)


def need_too_much(task, setup) -> list[str]:
    """Seed 0 never has room; the others wait until it was refused."""
    if task.seed == 0:
        (setup.results / f"refused-{len(refused(setup))}").touch()
        raise RuntimeError(FULL)
    wait_for(lambda: refused(setup), "seed 0 finds no room")
    return []
