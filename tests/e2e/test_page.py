"""The live page before a real run: nothing between the browser and the learners is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import Reader, headless_chromium, shows, text
from tests.e2e.control_plane import SHORT, Server

pytestmark = pytest.mark.timeout(1200)

RUN_MS = 900_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless_chromium() as running:
        yield running


def test_a_run_is_followed_steered_and_collected_on_the_page(server: Server, browser: Any) -> None:
    reader = Reader.before(server.url.rstrip("/"), browser)
    page = reader.open("/")
    job_id = server.submit({**SHORT, "name": "before-a-reader"})
    page.click(f"a[href='/jobs/{job_id}']")
    shows(page, "#state", "running", RUN_MS)
    shows(page, "#held", "base", RUN_MS)
    shows(page, "#stages", "1 of 3 steps", RUN_MS)
    page.click("text=Next stage")
    page.click("#confirm-yes")
    shows(page, "#log", "stage requested: next")
    shows(page, "#stages", "on request", RUN_MS)
    shows(page, "#end", "Succeeded after", RUN_MS)

    job, records = server.job(job_id), server.metrics(job_id)
    assert [r["stage"] for r in records].count("exploration") == 2
    assert len(records) < 5, "the first stage was ended before its time"
    assert f"{records[-1]['entropy']:.3f} nats" in text(page, "#figures")
    samples = records[-1]["samples"]
    assert f"generated {samples['generated']:,} 100.0 %" in text(page, "#replay")
    for found in (e["data"] for e in server.events(job_id) if e["type"] == "evaluation"):
        assert f"{100 * found['accuracy']:.1f} %" in text(page, "#held")
    assert page.locator("#log > li").count() == len(server.events(job_id))
    assert job["actions"] == []
    assert page.locator("#actions button").count() == 0

    page.locator("text=Open the report").click(no_wait_after=True)
    page.wait_for_selector("text=Held against the method", timeout=RUN_MS)
    page.go_back()
    shows(page, "#state", "succeeded")
    reader.check()
    page.context.close()
