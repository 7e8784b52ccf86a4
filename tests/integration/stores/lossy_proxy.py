"""A connection to a server that breaks after the server has done what it was asked, before it could
say so: the one fault in which a client cannot know."""

from __future__ import annotations

import contextlib
import socket
import threading


class LossyProxy:
    """Forwards to a port of this machine; :meth:`lose` has it drop answers."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lose = 0
        self.lost = 0
        """How many answers were dropped."""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, answers: int) -> None:
        """Drop the next so many answers, and the connections they were for."""
        self._lose = answers

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(
                        target=self._forward, args=(source, sink, is_answer), daemon=True
                    ).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_answer and self._lose:
                    self._lose -= 1
                    self.lost += 1
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
