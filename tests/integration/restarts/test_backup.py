"""A backup taken while all is at work, as docs/operations.md says, and what comes of it."""

from __future__ import annotations

import shutil
import sqlite3

import httpx
import pytest
import redis

from tests.integration.api.conftest import make_token
from tests.integration.restarts.test_kill_in_every_state import check_log, wait_for_steps
from tests.integration.restarts.world import BACKENDS, World

LEFT_OUT = ("*.db", "*.db-wal", "*.db-shm", "presence", "control-plane.lock", "store.url")


def back_up(world: World, target) -> None:
    """Databases as they are at one moment, then the files."""
    home = world.home.root
    target.mkdir()
    for name in ("jobs.db", "control.db"):
        if (home / name).exists():
            with sqlite3.connect(home / name) as source, sqlite3.connect(target / name) as copy:
                source.backup(copy)
    if world.redis is not None:
        with redis.Redis(port=world.redis.port) as server:
            server.config_set("auto-aof-rewrite-percentage", 0)
            shutil.copytree(world.folder / "redis/appendonlydir", target / "appendonlydir")
            server.config_set("auto-aof-rewrite-percentage", 100)
    ignored = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(home, target / "files", ignore=ignored, dirs_exist_ok=True)


def restore(backup, folder) -> None:
    (folder / "redis").mkdir(parents=True)
    shutil.copytree(backup / "files", folder / "home")
    for database in backup.glob("*.db"):
        shutil.copy(database, folder / "home")
    if (backup / "appendonlydir").exists():
        shutil.copytree(backup / "appendonlydir", folder / "redis/appendonlydir")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backup_of_a_store_at_work_goes_on_elsewhere(tmp_path, machine, backend):
    with World(tmp_path / "first", machine, backend, LACONIC_LEASE_SECONDS="2") as world:
        token = make_token(world.home.root, "admin", store=world.store_url)
        headers = {"Authorization": f"Bearer {token}"}
        world.wait_for(
            "the key",
            lambda: world.plane.http.get("/v1/jobs").status_code == httpx.codes.UNAUTHORIZED,
        )
        world.plane.http.headers.update(headers)
        done = world.create(steps="2")
        world.wait_for_state(done, "succeeded")
        job = world.create(steps="100")
        wait_for_steps(world, job, 10)
        back_up(world, tmp_path / "backup")
        steps = len(world.steps_of(job))
        wait_for_steps(world, job, steps + 5)
        later = world.create()
    restore(tmp_path / "backup", tmp_path / "second")
    with World(tmp_path / "second", machine, backend, LACONIC_LEASE_SECONDS="2") as world:
        assert world.plane.http.get("/v1/jobs").status_code == httpx.codes.UNAUTHORIZED
        world.plane.http.headers.update(headers)
        assert world.jobs() == [job, done]
        assert world.plane.http.get(f"/v1/jobs/{later}").status_code == httpx.codes.NOT_FOUND
        # Its driver is gone with the first place; what it had saved by then is here.
        world.wait_for_state(job, "failed")
        world.ask(job, "resume")
        world.wait_for("the second attempt", lambda: f"{job}-2" in world.drivers_of(job))
        resumed = world.wait_for(
            "a step of it", lambda: [s for s in world.steps_of(job) if s["attempt"] == 2]
        )
        assert 1 < resumed[0]["step"] <= steps + 1
        check_log(world, job)
