"""The list of jobs."""

from __future__ import annotations

from tests.browser import shows, text
from tests.integration.api.page.recorded_run import RecordedRun


def test_without_jobs_the_page_says_how_to_submit_one(plane, reader):
    page = reader.open("/")
    shows(page, "#empty", "No jobs yet")
    shows(page, "#empty", f"laconic submit --preset tiny-cpu --url {plane.url}")
    assert page.is_hidden("#jobs")
    job = plane.create()
    page.wait_for_selector(f"a[href='/jobs/{job}']")
    assert page.is_hidden("#empty")


def test_jobs_change_before_the_reader(plane, run, reader):
    run.go_to(5)
    page = reader.open("/")
    row = page.locator("#rows tr", has_text=run.job)
    row.locator("[data-name=Progress]", has_text="5 of 38").wait_for()
    assert "running" in row.inner_text()
    assert "compression" in row.inner_text()
    assert row.locator("progress").get_attribute("value") == "5"
    page.focus(f"a[href='/jobs/{run.job}']")
    run.go_to(27)
    row.locator("[data-name=Progress]", has_text="27 of 38").wait_for()
    assert page.evaluate("document.activeElement.pathname") == f"/jobs/{run.job}", "focus stays"
    plane.store.set_state(run.job, "failed", attempt=1, cause="a full disk")
    row.locator("[data-name=State]", has_text="failed").wait_for()
    shows(page, "#say", "Job tiny-cpu is failed.")
    assert "a full disk" in row.inner_text()


def test_newest_first_and_older_ones_on_request(plane, reader):
    spec = plane.store.get_job(plane.create()).spec
    for i in range(60):
        plane.store.create_job(spec.model_copy(update={"name": f"number-{i}"}), None)
    page = reader.open("/")
    page.wait_for_selector("#older")
    names = page.locator("#rows th a").all_inner_texts()
    assert names == [f"number-{i}" for i in range(59, 9, -1)]
    page.click("#older")
    page.wait_for_selector("#older", state="hidden")
    assert page.locator("#rows th a").count() == 61
    plane.store.create_job(spec.model_copy(update={"name": "newest"}), None)
    page.wait_for_selector("#rows tr:first-child:has-text('newest')")


def test_a_job_is_a_click_away(run, reader):
    page = reader.open("/")
    page.click(f"a[href='/jobs/{run.job}']")
    shows(page, "#name", "tiny-cpu")
    page.click(".trail a")
    shows(page, "#rows", "tiny-cpu")


def test_names_stay_text(plane, run, reader):
    plane.store.set_state(run.job, "failed", attempt=1, cause="<img src=x onerror=alert(1)>")
    page = reader.open("/")
    shows(page, "#rows", "<img src=x onerror=alert(1)>")
    assert page.locator("#rows img").count() == 0


def test_how_long_an_ended_job_took(plane, reader):
    run = RecordedRun(plane, plane.running()).begin().succeed()
    page = reader.open("/")
    shows(page, "#rows", "succeeded")
    assert "took" in text(page, f"#rows tr:has-text('{run.job}') [data-name='Time left']")
