"""What a job leaves behind is listed as it comes, and fetched from the page."""

from __future__ import annotations

from tests.browser import Reader, shows, text
from tests.integration.api.conftest import client_of, make_token, serve
from tests.integration.api.page.recorded_run import RecordedRun
from tests.integration.api.test_checkpoints_api import WEIGHTS, write_checkpoint


def test_files_are_listed_as_they_come(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#results", "Nothing yet.")
    write_checkpoint(plane, run.job, 10)
    run.event("checkpoint", "checkpoint of step 10", {"step": 10})
    shows(page, "#results", "step 10")
    folder = plane.context.settings.home.job(run.job).checkpoints
    files = (f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json")
    size = sum(f.stat().st_size for f in files)
    assert f"{size / 1024:.1f} KiB" in text(page, "#results")
    report = plane.context.settings.home.job(run.job).report
    report.mkdir(parents=True)
    (report / "a plot.svg").write_text("<svg/>")
    plane.store.set_state(run.job, "failed", attempt=1, cause="x")
    shows(page, "#results", "report/a plot.svg")


def test_files_of_a_checkpoint_are_fetched(plane, run, reader):
    write_checkpoint(plane, run.job, 10)
    page = reader.open(f"/jobs/{run.job}")
    page.focus("#results button")
    page.keyboard.press("Enter")
    shows(page, "#results", "model/model.safetensors")
    assert page.evaluate("document.activeElement.dataset.step") == "10", "focus stays"
    with page.expect_download() as download:
        page.click("text=model/model.safetensors")
    assert download.value.path().read_bytes() == WEIGHTS
    page.click("#results button")
    page.locator("#results", has_text="model.safetensors").wait_for(state="detached")


def test_with_a_key_files_are_fetched_and_saved(tmp_path, body, browser):
    token = make_token(tmp_path / "guarded", "jobs:read", "jobs:write", "checkpoints:read")
    with serve(tmp_path / "guarded", body) as plane:
        job = plane.create(client_of(plane, token))
        plane.wait_for("submission", lambda: plane.store.get_job(job).ray_submission_id)
        for state in ("starting", "running"):
            plane.store.set_state(job, state, attempt=1)
        RecordedRun(plane, job).begin()
        write_checkpoint(plane, job, 10)
        reader = Reader.before(plane.url, browser)
        reader.expected.append("401")
        page = reader.open("/assets/base.css")
        page.evaluate("key => sessionStorage.setItem('laconic.key', key)", token)
        reader.open(f"/jobs/{job}")
        page.click("#results button")
        with page.expect_download() as download:
            page.click("text=model/model.safetensors")
        assert download.value.suggested_filename == "model.safetensors"
        assert download.value.path().read_bytes() == WEIGHTS
        reader.check()
        page.context.close()
