"""A verification worker process: ``python -m services.verification.worker MEMORY_MIB PARENT_PID``.

It answers one request at a time on its main thread and may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from typing import Any, BinaryIO

from algorithms.trajectory import Verdict
from services.verification import frames
from services.verification.symbolic import decide, warm

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def limit_memory(mib: int) -> int:
    """Bound the address space to its peak so far plus ``mib``; return how far it may go, in bytes.

    That is nine tenths of the way: math-verify takes some MemoryErrors for inequality, so an
    answer that needed more than that is one on which memory ran out.
    """
    now = _status_bytes("VmPeak")
    limit = now + mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as f:
        f.write("1000")
    return now + (limit - now) * 9 // 10


def _status_bytes(name: str) -> int:
    with open("/proc/self/status") as f:
        line = next(line for line in f if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def answer(request: dict[str, Any], memory: int) -> dict[str, Any]:
    """Judge one request; failures of the comparison become the verdict ``error``.

    ``last`` in the response says that the process ends now: its heap may be in any state.
    """
    started = time.perf_counter()
    verdict: Verdict
    spent = False
    try:
        finding = decide(tuple(request["golds"]), request["answer"])
        verdict, reason = finding.verdict, finding.reason
    except MemoryError:
        verdict, reason, spent = "error", "memory", True
    except RecursionError:
        verdict, reason = "unparsable", "unsupported:recursion"
    except Exception as e:
        verdict, reason = "error", f"exception:{type(e).__name__}"
    if spent or _status_bytes("VmPeak") > memory:
        spent = True
        if verdict != "correct":
            verdict, reason = "error", "memory"
    seconds = time.perf_counter() - started
    found = {"verdict": verdict, "reason": reason, "seconds": seconds}
    return {"id": request["id"], "last": spent, **found}


def serve(requests: BinaryIO, responses: BinaryIO, memory: int) -> None:
    """Answer requests until the stream ends, or until memory ran out once."""
    while (request := frames.read(requests)) is not None:
        response = answer(request, memory)
        responses.write(frames.encode(response))
        responses.flush()
        if response["last"]:
            return


def main() -> None:
    """Take over the standard streams, warm up, set the limits, serve."""
    memory_mib, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    responses = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not break the protocol
    warm()
    memory = limit_memory(memory_mib)
    responses.write(frames.encode({"ready": os.getpid()}))
    responses.flush()
    serve(sys.stdin.buffer, responses, memory)


if __name__ == "__main__":
    main()
