"""Calls of a Redis store: its script and reads, repeated while the server cannot be reached or says
that it cannot do them at the moment."""

from __future__ import annotations

import json
import logging
import math
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisError
from redis.retry import Retry

from services.stores.lifecycle import allowed
from services.stores.protocol import (
    ChangedMeanwhile,
    IllegalTransition,
    JobNotFound,
    StaleAttempt,
    StoreUnavailable,
)
from services.stores.redis_address import RedisAddress
from services.stores.redis_script import JOBS, Script

log = logging.getLogger("laconic.store")

_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_WITHOUT_PATIENCE: Final = 1.0
"""Seconds after a call was given up in which another is tried once: one request makes several, and
is not answered after the sum of their patience."""

_PASSING: Final = frozenset(
    {
        "READONLY",  # a replica; a failover is under way
        "MASTERDOWN",
        "NOREPLICAS",
        "OOM",  # its memory is full, and nothing may be evicted
        "MISCONF",  # its disk is full or broken, so it takes no write
        "LOADING",  # it reads its file after a start
        "BUSY",  # somebody else's script runs
        "CLUSTERDOWN",
        "TRYAGAIN",
    }
)
"""What a server refuses with for a while, by the first word. Nothing was written: a script that may
not write is refused at its first write, and goes on to its end after that."""

T = TypeVar("T")


class RedisCalls:
    """One client, with the patience to see a server restart.

    A call whose answer was lost may have been done. Reads and writes that say the same twice are
    simply repeated; all other writes carry a token, by which the server knows what it has done.
    """

    def __init__(self, address: RedisAddress, patience: float, script: Script = JOBS) -> None:
        """Nothing is contacted yet.

        Args:
            address: the server.
            patience: how long a call is repeated, in seconds, before the store counts as
                unavailable.
            script: what :meth:`run` and :meth:`write` find their operations in.
        """
        self.address, self.prefix = address, address.prefix
        self._patience, self._script = patience, script
        self._gave_up = -math.inf
        # A call may be at it for its timeout when its patience ends.
        self._kept = math.ceil(2 * (patience + address.timeout)) + 60
        self._client = _connect(address)

    def close(self) -> None:
        self._client.close()

    def ask(self, question: Callable[[redis.Redis], T]) -> T:
        """Return what ``question`` gets from the client.

        Raises:
            StoreUnavailable: the server was not reached in time, or refused.
        """
        began = time.monotonic()
        is_away = began - self._gave_up < _WITHOUT_PATIENCE
        deadline = began + (0.0 if is_away else self._patience)
        wait = _FIRST_WAIT
        while True:
            try:
                answer = question(self._client)
                self._gave_up = -math.inf
                return answer
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if _is_final(error) or time.monotonic() + wait > deadline:
                    self._gave_up = time.monotonic()
                    raise self._unavailable(error) from error
                log.warning("%s does not answer (%s); asking again", self.address.shown, error)
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except RedisError as error:
                if not _is_passing(error):
                    raise self._unavailable(error) from error
                if time.monotonic() + wait > deadline:
                    self._gave_up = time.monotonic()
                    raise self._unavailable(error) from error
                # After a failover the address may lead to another server.
                self._client.connection_pool.disconnect(inuse_connections=False)
                log.warning("%s refuses (%s); asking again", self.address.shown, error)
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    def run(self, operation: str, /, *, token: bool = False, **arguments: Any) -> list[Any]:
        """Run an operation of the script that is about no job; return what follows ``ok``."""
        return self._run("", operation, token, arguments)[1:]

    def write(
        self,
        job_id: str,
        operation: str,
        /,
        wanted: str = "",
        *,
        attempt: int | None = None,
        alive: bool = False,
        expect: int | None = None,
        token: bool = True,
        fenced: bool = True,
        **arguments: Any,
    ) -> list[Any]:
        """Run an operation on a job, behind the fence; return what follows ``ok``.

        Args:
            job_id: the job.
            operation: as the script calls it.
            wanted: what the caller wants, in words, for when the lifecycle does not allow it.
            attempt: the attempt that writes, which must be the current one.
            alive: whether a job that has ended takes no such write.
            expect: what the job's revision must be.
            token: whether doing it twice would matter.
            fenced: whether the job must be there.
            arguments: of the operation; None is left out.
        """
        said = {
            "fenced": "1" if fenced else None,
            "alive": "1" if alive else None,
            "attempt": None if attempt is None else str(attempt),
            "revision": None if expect is None else str(expect),
            **arguments,
        }
        answer = self._run(job_id, operation, token, said)
        outcome, rest = answer[0], answer[1:]
        if outcome == "missing":
            raise JobNotFound(job_id)
        if outcome == "stale":
            assert attempt is not None
            raise StaleAttempt(job_id, attempt, int(rest[0]), rest[1])
        if outcome == "revision":
            assert expect is not None
            raise ChangedMeanwhile(job_id, expect, int(rest[0]))
        if outcome == "illegal":
            raise IllegalTransition(job_id, rest[0], wanted, allowed(rest[0], rest[1] or None))
        return rest

    def of_job(self, job_id: str, *command: str) -> Any:
        """Return what a reading command gets.

        Raises:
            JobNotFound: no job has this id.
        """
        key = self.key(job_id)

        def question(client: redis.Redis) -> tuple[int, Any]:
            pipe = client.pipeline(transaction=False)
            pipe.exists(key)
            pipe.execute_command(*command)
            found, answer = pipe.execute()
            return found, answer

        found, answer = self.ask(question)
        if not found:
            raise JobNotFound(job_id)
        return answer

    def key(self, job_id: str, part: str = "") -> str:
        """The key of a job's hash, or of another part of it."""
        return f"{self.prefix}job:{job_id}" + (f":{part}" if part else "")

    def _run(
        self, job_id: str, operation: str, token: bool, arguments: dict[str, Any]
    ) -> list[Any]:
        said = {name: value for name, value in arguments.items() if value is not None}
        keys = [self.key(job_id)] if job_id else []
        call: Sequence[Any] = (
            *(len(keys), *keys, self.prefix, secrets.token_hex(8) if token else ""),
            *(operation, json.dumps(said), self._kept),
        )

        def question(client: redis.Redis) -> list[Any]:
            try:
                return list(client.execute_command("EVALSHA", self._script.digest, *call))
            except NoScriptError:
                return list(client.execute_command("EVAL", self._script.text, *call))

        return self.ask(question)

    def _unavailable(self, error: RedisError) -> StoreUnavailable:
        silent = isinstance(error, redis.ConnectionError | redis.TimeoutError)
        what = "does not answer" if silent and not _is_final(error) else "refused"
        return StoreUnavailable(f"the job store {self.address.shown} {what}: {error}")


def _is_final(error: BaseException) -> bool:
    """Whether asking again is of no use: neither a wrong password nor a certificate of somebody
    else becomes right."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, AuthenticationError | ssl.SSLCertVerificationError):
            return True
        found = found.__cause__ or found.__context__
    return False


def _is_passing(error: RedisError) -> bool:
    """Whether the server may take the same call a moment later."""
    # The client takes the first word off the refusals it has a class for.
    word = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return word in _PASSING


def _connect(address: RedisAddress) -> redis.Redis:
    """A client; nothing is contacted yet. It does not repeat a call by itself."""
    options: dict[str, Any] = {}
    if address.tls:
        options = {
            "ssl": True,
            "ssl_ca_certs": address.ca,
            "ssl_certfile": address.cert,
            "ssl_keyfile": address.key,
        }
    return redis.Redis(
        host=address.host,
        port=address.port,
        db=address.database,
        username=address.username,
        password=address.password,
        socket_timeout=address.timeout,
        socket_connect_timeout=address.timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
        **options,
    )
