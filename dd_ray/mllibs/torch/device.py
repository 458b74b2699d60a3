"""Where a network computes."""

from __future__ import annotations

import logging

import torch

logger = logging.getLogger(__name__)


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
