"""One control plane, with the verbs of every topic."""

from __future__ import annotations

from api.client.administration import Administration
from api.client.files import Files
from api.client.observing import Observing
from api.client.steering import Steering
from api.transport import Transport


class Client(Steering, Observing, Files, Administration):
    """Verbs over HTTP; a context manager. Verbs on a job take evaluations too.

    Each may raise :class:`ApiError` and :class:`Unreachable`; requests are sent again where that
    acts once.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        """``url``, else ``LACONIC_URL``, else the default address of ``laconic serve``; ``key``,
        else ``LACONIC_API_KEY``, else none."""
        self._http = Transport(url, key)
        self.url = self._http.url

    def another(self) -> Client:
        """A client of the same control plane, for another thread."""
        return Client(self.url, self._http.key)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
