"""Where a network computes."""

from __future__ import annotations

import ctypes
import logging

import torch

logger = logging.getLogger(__name__)

_MALLOPT = {-1: 1 << 29, -2: 1 << 26, -3: 1 << 25}
"""Of glibc's malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD (its most), in bytes."""


def keep_freed_memory() -> None:
    """Has this process keep memory that it frees, for the next iteration.

    A training frees and takes the same tensors over and over; outside of the main thread, glibc
    gives them back to the system each time, which then has to clear all their pages anew.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        for option, value in _MALLOPT.items():
            mallopt(option, value)


def device_for(gpus: int, *, threads: int) -> torch.device:
    """A GPU when the call asks for one and there is one; else the CPU, which is logged.

    Public clients ask for a GPU whatever the machine has. The GPUs that Ray gave to this process
    are the only ones that it sees, so the first is the right one; among those of several workers
    Ray Train has chosen.
    """
    if gpus and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if gpus:
        logger.warning("gpu requested, but there is none that PyTorch can use here: on the CPU")
    torch.set_num_threads(threads)  # Ray has told it to use one
    return torch.device("cpu")
