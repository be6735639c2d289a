"""A worker's GPU: it is made the worker's own, watched for an answer, and its errors are told apart."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ANSWER_SECONDS = 30.0  # between two answers of a GPU

# how torch, CUDA, cuDNN and cuBLAS say that a GPU has too little memory, also at the creation of their contexts
NO_MEMORY = (
    "out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)
TOO_MANY_WORKERS = "out of GPU memory beside other runs: it starts again when one of them has ended"
FEWER_WORKERS = (
    "out of GPU memory: use fewer --workers; if one worker alone has too little, a smaller --micro-batch, which is "
    "another run"
)


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Whether an error says that a GPU has too little memory."""
    if type(error).__name__ == "OutOfMemoryError":  # torch's
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


def occupy(device: "torch.device", answer: Callable[[], None]) -> None:
    """Make a GPU the one of this process, and have a thread say that it answers.

    Only in a worker: the process that starts workers makes no context on a GPU.
    """
    import torch

    answer()  # from now on it is watched: the first context may hang too
    torch.cuda.set_device(device)
    threading.Thread(target=_keep_asking, args=(device, answer), daemon=True).start()


def _keep_asking(device: "torch.device", answer: Callable[[], None], pause: float = ANSWER_SECONDS) -> None:
    """Call `answer` whenever the GPU has done all that it was given before; never, once it hangs."""
    import torch

    with contextlib.suppress(RuntimeError, OSError):  # the work fails of the same error, or has ended
        while True:
            done = torch.cuda.Event(blocking=True)
            done.record(torch.cuda.default_stream(device))
            done.synchronize()
            answer()
            time.sleep(pause)
