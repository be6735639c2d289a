"""Another BLAS kernel than this machine's own: results that hold on one alone are none.

python -m tests.support.kernels     prints its name, for OPENBLAS_CORETYPE, or why there is none to stderr
"""

import os
import subprocess
import sys
from pathlib import Path

OWN = "import numpy, threadpoolctl; print(*{found.get('architecture') for found in threadpoolctl.threadpool_info()})"


def own(**variables: str) -> str:
    """The kernel that numpy takes: a name of OpenBLAS's, or another word where it has another BLAS."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"} | variables
    return subprocess.run(
        [sys.executable, "-c", OWN], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def other(kernel: str, flags: set[str]) -> str:
    """The kernel to test beside a processor's own: one that works on it and computes in another order.

    flags : what /proc/cpuinfo says that the processor can do
    """
    return "Haswell" if "avx2" in flags and kernel not in ("Haswell", "Zen") else "Nehalem"


def main() -> int:
    """Print the other kernel; 1 where there is none."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    name = other(own(), flags)
    if "sse4_2" not in flags or own(OPENBLAS_CORETYPE=name) != name:
        print("no second BLAS kernel here: that needs OpenBLAS on x86-64 under Linux", file=sys.stderr)
        return 1
    print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
