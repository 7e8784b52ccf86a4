"""The process that workers are forked from, so that a new one is ready in milliseconds:
``python -m services.verification.nursery SOCKET KIND MEMORY_MIB PARENT_PID``.

It imports the verifier once, sees no model output, and ends with the pool.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback

from services.verification.kinds import Referee, load
from services.verification.worker import die_with_parent, work

_MESSAGE = 4096


def send(control: socket.socket, message: dict[str, object], *fds: int) -> None:
    """Send one message with file descriptors to the other end."""
    socket.send_fds(control, [json.dumps(message).encode()], fds)


def receive(control: socket.socket) -> tuple[dict[str, object], list[int]] | None:
    """Return one message with its file descriptors; None when the other end is gone.

    Raises:
        BlockingIOError: there is none yet.
    """
    try:
        data, fds, _, _ = socket.recv_fds(control, _MESSAGE, 1)
    except ConnectionError:
        return None
    return (json.loads(data), fds) if data else None


class Nursery:
    """Forks workers on request and reaps those that have ended. Has no thread besides its own."""

    def __init__(self, control: socket.socket, judge: Referee, memory_mib: int) -> None:
        self._control, self._judge, self._memory_mib = control, judge, memory_mib
        self._pid = os.getpid()
        self._workers: set[int] = set()

    def run(self) -> None:
        """Serve until the pool is gone, then end every worker."""
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(woken, select.POLLIN)
        with contextlib.suppress(ConnectionError):  # the pool went before it had its answer
            self._serve(poll, woken, wake)
        self._end()

    def _serve(self, poll: select.poll, woken: socket.socket, wake: socket.socket) -> None:
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if woken.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(_MESSAGE)
                self._reap()
            if self._control.fileno() in ready:
                request = receive(self._control)
                if request is None:
                    return
                self._fork(request[1][0], (wake, woken))

    def _fork(self, channel: int, own: tuple[socket.socket, ...]) -> None:
        """Fork the worker at the other end of ``channel`` and hand its pidfd to the pool."""
        try:
            pid = os.fork()
        except OSError as error:
            os.close(channel)
            send(self._control, {"failed": f"fork: {error.strerror}"})
            return
        if pid == 0:
            self._be_a_worker(channel, own)
        os.close(channel)
        self._workers.add(pid)
        # Not reaped yet, so the number still means this process, even if it has ended.
        handle = os.pidfd_open(pid)
        send(self._control, {"pid": pid}, handle)
        os.close(handle)

    def _be_a_worker(self, channel: int, own: tuple[socket.socket, ...]) -> None:
        """Never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            for end in own:
                end.close()
            with socket.socket(fileno=channel) as connection:
                work(self._judge, connection, self._memory_mib, self._pid)
        except ConnectionError:
            pass  # the pool has no use for this worker any more
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def _reap(self) -> None:
        """Take leave of workers that have ended, and end what they have started."""
        while self._workers:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            # While it is not waited for, no other process group can have its number.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(ended.si_pid, signal.SIGKILL)
            os.waitpid(ended.si_pid, 0)
            self._workers.discard(ended.si_pid)

    def _end(self) -> None:
        for pid in self._workers:
            for kill in (os.kill, os.killpg):
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    """Import the verifier, then serve the pool at the other end of the socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    kind, memory_mib, parent = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # nothing of ours goes to the standard output of the pool's process
    try:
        judge = load(kind)
    except BaseException as error:
        send(control, {"failed": f"verifier {kind!r}: {type(error).__name__}: {error}"[:500]})
        raise
    # What is there now is shared with every worker; the collector must not write to it.
    gc.collect()
    gc.freeze()
    Nursery(control, judge, memory_mib).run()


if __name__ == "__main__":
    main()
