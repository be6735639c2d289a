"""Set up the fork server process: it ignores the signals that are sent to the process group.

Only the fork server imports this module, before any other. If it ended before the workers, the pool could not wait for
them to write their last epoch. Workers set their own handlers.
"""

import signal

from empirics.execution.interrupts import ENDING_SIGNALS

for number in ENDING_SIGNALS:
    signal.signal(number, signal.SIG_IGN)

import torch  # noqa: E402

from empirics import provenance  # noqa: E402

# its first call imports modules, which would otherwise take a second in every worker
torch.use_deterministic_algorithms(True)
provenance.code()  # read once, and known to every worker
