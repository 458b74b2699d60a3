"""Memory of a training process."""

from __future__ import annotations

import subprocess
import sys

_FAULTS = """
import resource, sys, threading
import torch
from dd_ray.mllibs.torch.device import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def run():
    for turn in range(60):
        if turn == 20:
            began = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        tensors = [torch.ones(1 << 20) for _ in range(8)]  # 32 MiB
        del tensors
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - began)

torch.set_num_threads(1)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_freed_memory_is_taken_again() -> None:
    """In a thread that is not the main one, where trainings are."""

    def faults(how: str) -> int:
        command = [sys.executable, "-c", _FAULTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < faults("give back") / 10
