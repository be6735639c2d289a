"""Imported first by the fork server, and by nothing else: it must outlive the signals that a process group is sent.

Where it ended before the workers, the pool could no longer wait for them to write their last epoch. Workers set
handlers of their own.
"""

import signal

from empirics.execution.interrupts import ENDING_SIGNALS

for number in ENDING_SIGNALS:
    signal.signal(number, signal.SIG_IGN)

import torch  # noqa: E402

torch.use_deterministic_algorithms(True)  # what it imports at its first call takes a second, of every worker otherwise
