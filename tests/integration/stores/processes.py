"""Processes that begin together, for tests of stores that several write to."""

from __future__ import annotations

import multiprocessing

WRITERS = 4
WAIT_SECONDS = 120
# Processes that share nothing with this one, from a server that has imported the stores once.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "services.presets.registry",
        "services.stores.open",
        "services.stores.redis",
        "services.control.redis_stores",
    ]
)


def in_processes(target, *arguments, count=WRITERS):
    """Run ``target`` in processes that begin together; fail unless all of them end well."""
    barrier = CONTEXT.Barrier(count)
    workers = [CONTEXT.Process(target=target, args=(*arguments, barrier)) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WAIT_SECONDS)
    assert [worker.exitcode for worker in workers] == [0] * count


def results_of(target, *arguments, count):
    """What each of ``count`` processes put into its queue."""
    results = CONTEXT.Queue()
    in_processes(target, *arguments, results, count=count)
    return [results.get(timeout=10) for _ in range(count)]
