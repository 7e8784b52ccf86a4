"""What a worker process does: it answers one request at a time and may be killed at any moment.

It is forked from the nursery (:mod:`services.verification.nursery`), which has imported everything.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import time
from typing import Any

from algorithms.trajectory import Verdict
from services.verification import frames
from services.verification.kinds import Referee

_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None, use_errno=True).prctl


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends."""
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
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


def answer(judge: Referee, request: dict[str, Any], memory: int) -> dict[str, Any]:
    """Referee one request; failures of the comparison become the verdict ``error``.

    ``seconds`` in the response is wall clock, ``cpu`` processor time; ``last`` says that the
    process ends now: its heap may be in any state.
    """
    started, cpu = time.perf_counter(), time.process_time()
    verdict: Verdict
    spent = False
    try:
        finding = judge(request)
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
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    found = {"verdict": verdict, "reason": reason, "seconds": seconds, "cpu": cpu}
    return {"id": request["id"], "last": spent, **found}


def serve(judge: Referee, channel: socket.socket, memory: int) -> None:
    """Answer requests until the stream ends, or until memory ran out once."""
    requests = channel.makefile("rb")
    while (request := frames.read(requests)) is not None:
        response = answer(judge, request, memory)
        channel.sendall(frames.encode(response))
        if response["last"]:
            return


def work(judge: Referee, channel: socket.socket, memory_mib: int, parent: int) -> None:
    """Set the limits of this process, say that it is ready, and serve."""
    die_with_parent(parent)
    # A group of its own, so that what it starts can be ended with it; no session of its own, for
    # the kernel shares the processor between sessions first, and one that yields would not.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = limit_memory(memory_mib)
    channel.sendall(frames.encode({"ready": os.getpid()}))
    serve(judge, channel, memory)
