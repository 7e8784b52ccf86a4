"""DeepSpeed's collective for the CPU, which it compiles on first use: kept, and built beforehand.

``python -m services.learning.native_ops`` is the last step of set-up, so that no run waits for a
compiler or shares its memory with one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_VARIABLE: Final = "TORCH_EXTENSIONS_DIR"


def keep_in_environment() -> None:
    """Have compiled extensions kept inside the virtual environment; must precede their first use.

    They depend on its paths: in the folder that torch shares between all environments, two
    environments would compile them in turns. They depend on the version of ninja too, so the
    environment's own comes first. A folder that a person has set stays.
    """
    own = str(Path(sys.prefix) / "bin")
    os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
    if os.access(sys.prefix, os.W_OK):
        os.environ.setdefault(_VARIABLE, str(Path(sys.prefix) / "torch_extensions"))


def build() -> None:
    """Compile what a learner on the CPU loads; nothing is done where it is there already."""
    keep_in_environment()
    from deepspeed.comm.torch import build_shm_op

    build_shm_op()


if __name__ == "__main__":
    build()
