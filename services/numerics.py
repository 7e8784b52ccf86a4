"""Settings under which the same call gives the same bits, run after run."""

from __future__ import annotations

import os
from typing import Final

_REPRODUCIBLE: Final = {
    # Intel's math library else picks its code path and adds up partial sums as threads finish:
    # the same product may differ in its last bit from run to run.
    "MKL_CBWR": "AUTO",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    # vLLM on the CPU: a long context is not cut into parts that are added up afterwards.
    "VLLM_CPU_ATTN_SPLIT_KV": "0",
}


def make_reproducible() -> None:
    """Set what the libraries read from the environment; must precede their first computation.

    What a person has set already stays.
    """
    for name, value in _REPRODUCIBLE.items():
        os.environ.setdefault(name, value)
