"""One job before a reader: figures, curves and events, live and without a reload."""

from __future__ import annotations

from services.launcher import Observation
from tests.browser import shows, text
from tests.integration.api.page.recorded_run import EVALUATIONS, STEPS, RecordedRun, record_of
from tests.integration.waiting import wait_until

CURVES = ("entropy", "length", "accuracy")


def read(page, chart: str, key: str) -> str:
    """What the chart says of the step that ``key`` goes to."""
    page.focus(f"#{chart}")
    page.keyboard.press(key)
    return page.text_content(f"#{chart} .unseen")


def is_heard(page, run: RecordedRun) -> None:
    """Wait until the page has heard of the driver, which goes on speaking."""

    def heard() -> bool:
        run.progress("generate", generating=32)
        return "heard from" in text(page, "#workers")

    wait_until("a sign of the driver", heard, 60, tick=1)


def says(page, chart: str, key: str, words: str) -> None:
    """Wait until the chart says this of the step that ``key`` goes to."""
    wait_until(words, lambda: words in read(page, chart, key), 60, tick=0.1)


def length(step: int) -> str:
    return f"{STEPS[step - 1]['response_length_mean']:.1f}"


def pixel(page, chart: str, x: float, y: float) -> list[int]:
    """Colour of a point of the plotting area, given in shares of it."""
    return page.evaluate(
        """([chart, x, y]) => {
          const canvas = document.querySelector(`#${chart} canvas`);
          const over = document.querySelector(`#${chart} .u-over`);
          const [whole, area] = [canvas, over].map((n) => n.getBoundingClientRect());
          const at = (share, from, size, start) => (from - start + share * size) * devicePixelRatio;
          const left = at(x, area.left, area.width, whole.left);
          const top = at(y, area.top, area.height, whole.top);
          return [...canvas.getContext("2d").getImageData(left, top, 1, 1).data];
        }""",
        [chart, x, y],
    )


def test_a_job_that_waits_says_so(plane, reader):
    page = reader.open(f"/jobs/{plane.create()}")
    shows(page, "#state", "queued")
    shows(page, "#figures", "for its driver")
    assert page.is_visible("#no-steps")
    assert text(page, "#replay") == "Nothing yet."


def test_figures_of_the_last_step(run, reader):
    run.go_to(14)
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#stages", "14 of 26 steps")
    shows(page, "#figures", "step 14 of 38 · now: generate")
    shows(page, "#figures", "held out 79.3 % (base, step 0)")
    figures = text(page, "#figures")
    kept = STEPS[13]
    assert f"{record_of(14)['entropy']:.3f}" in figures
    assert f"{kept['response_length_mean']:.1f} tokens" in figures
    assert "49.2 tokens held out 155.7 Accuracy" in figures
    assert f"{100 * kept['accuracy']:.1f} %" in figures
    assert "3 min 36 s" in figures
    assert "0 base 79.3 % 73.9 – 83.8 155.7" in text(page, "#held")
    accounted = record_of(14)["samples"]
    assert f"generated {accounted['generated']:,} 100.0 %" in text(page, "#replay")
    assert f"excluded: not positive {accounted['excluded']['not_positive']:,}" in text(
        page, "#replay"
    )
    assert "32 generating" in text(page, "#replay")
    workers = text(page, "#workers")
    assert "generators 1 · vLLM on CPU busy" in workers
    assert "learners 1 · DeepSpeed on CPU, ZeRO 0 waits" in workers


def test_new_steps_and_events_appear_by_themselves(run, reader):
    run.go_to(2)
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#stages", "2 of 26 steps")
    page.evaluate("window.same = true")
    says(page, "length", "End", f"step 2 compression, mean {length(2)}")
    run.go_to(27)
    shows(page, "#stages", "26 steps · ended: its steps are used up")
    shows(page, "#stages", "1 of 12 steps")
    shows(page, "#held", "after compression")
    shows(page, "#figures", "held out 39.7 · 25 % of the base model's")
    shows(page, "#log", "stage compression ended, exploration begins (steps)")
    shows(page, "#say", "compression: accuracy 90.6 %")
    says(page, "length", "End", f"step 27 exploration, mean {length(27)}")
    assert page.evaluate("window.same"), "the page was loaded anew"


def test_what_was_there_before_is_not_read_out(run, reader):
    run.go_to(26)
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#log", "stage compression ended")
    assert page.inner_text("#say") == ""


def test_a_tooltip_has_the_values_of_its_step_in_every_curve(run, reader):
    run.go_to(38)
    page = reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#accuracy .u-over")
    page.hover("#length .u-over", position={"x": 5, "y": 20})
    page.wait_for_selector("#length .tip", state="visible")
    area = page.locator("#length .u-over").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 26 / 38, area["y"] + 30)
    page.locator("#length .tip").filter(has_text="step 26").wait_for()
    assert text(page, "#length .tip") == (
        f"step 26 compression mean {STEPS[25]['response_length_mean']:.1f} "
        f"median {0.86 * STEPS[25]['response_length_mean']:.1f} held out, after compression 39.7"
    )
    assert "held out, after compression 90.6 %" in text(page, "#accuracy .tip")
    assert text(page, "#entropy .tip").startswith("step 26 compression at sampling temperature")


def test_stages_are_shaded_in_their_colours_and_evaluations_marked(run, reader):
    run.go_to(38)
    page = reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#accuracy .u-over")
    page.wait_for_timeout(200)
    for chart in CURVES:
        (red, _, blue, _), (warm, _, cold, _) = (pixel(page, chart, x, 0.985) for x in (0.31, 0.85))
        assert blue > red, "compression is blue"
        assert warm > cold, "exploration is orange"
    accent = page.evaluate(
        "getComputedStyle(document.documentElement).getPropertyValue('--accent')"
    )
    wanted = [int(accent.strip()[i : i + 2], 16) for i in (1, 3, 5)]
    # The whiskers of the base model's interval, at step 0, above and below its point (60 to 100 %).
    low, high = (100 * x for x in EVALUATIONS["base"]["accuracy_ci95"])
    for value in (low + 1, high - 1):
        found = pixel(page, "accuracy", 0.0, 1 - (value - 60) / 40)[:3]
        assert sum(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 120


def test_a_resumed_job_draws_the_steps_that_were_run_again(plane, reader, run):
    run.go_to(8)
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#stages", "8 of 26 steps")
    says(page, "length", "End", "step 8 ")
    plane.store.set_state(run.job, "interrupted", attempt=1, cause="stopped on request")
    shows(page, "#end", "It can be resumed from its last checkpoint.")
    page.click("[data-action=resume]")
    shows(page, "#state", "attempt 2")
    store = plane.store
    store.truncate_metrics(run.job, 2, 5)
    store.set_state(run.job, "starting", attempt=2)
    store.set_state(run.job, "running", attempt=2)
    again = RecordedRun(plane, run.job, attempt=2)
    again.last = 5
    store.append_metrics(run.job, 2, 6, {**record_of(6), "response_length_mean": 33.3})
    again.last = 6
    again.progress("generate")
    shows(page, "#stages", "6 of 26 steps")
    shows(page, "#log", "running")
    says(page, "length", "End", "step 6 compression, mean 33.3")
    assert page.is_hidden("#end")


def test_an_ended_job_says_how_and_leads_to_its_report(plane, reader):
    plane.body = {"preset": "tiny-cpu"}  # its tokenizer is read for the report
    run = RecordedRun(plane, plane.running()).begin()
    page = reader.open(f"/jobs/{run.job}")
    run.succeed()
    shows(page, "#end", "Succeeded after")
    shows(
        page,
        "#end",
        "On held-out questions responses have 26 % of their length, "
        "accuracy went from 79.3 % to 93.4 %.",
    )
    shows(page, "#state", "succeeded")
    assert page.locator("#actions button").count() == 0
    assert set(page.locator("#workers td").all_inner_texts()) == {"ended"}
    page.locator("text=Open the report").click(no_wait_after=True)
    page.wait_for_selector("text=Held against the method", timeout=180_000)  # it is drawn first
    page.go_back()
    shows(page, "#end", "Succeeded after")


def test_a_failed_job_shows_its_cause(plane, run, reader):
    plane.store.set_state(run.job, "failed", attempt=1, cause="RuntimeError: <b>no</b>")
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#end", "RuntimeError: <b>no</b>")
    assert page.locator("#end b").count() == 0


def test_a_job_out_of_sight_says_so(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    plane.launcher.shown[f"{run.job}-1"] = Observation("unobservable", "no route")
    shows(page, "#state", "reconciling")  # once its last heartbeat is some seconds old
    shows(page, "#doubt", "Ray does not answer: no route")
    assert page.is_hidden("#end")
    run.progress("train")
    shows(page, "#state", "running")
    assert page.is_hidden("#doubt")


def test_no_such_job(reader):
    reader.expected.append("404")
    page = reader.open("/jobs/job-nobody")
    shows(page, "#absent", "No job has the id job-nobody")
    assert page.is_hidden("#job")


def test_a_driver_that_falls_silent_is_seen(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    is_heard(page, run)
    assert page.locator("[data-late]").count() == 0
    page.wait_for_selector("[data-late]", timeout=60_000)
    assert "silent for" in text(page, "#workers")


def test_times_are_those_of_the_server(run, reader):
    """A reader whose clock is an hour ahead does not take the driver for silent."""
    reader.page.add_init_script("const real = Date.now; Date.now = () => real() + 3600000;")
    page = reader.open(f"/jobs/{run.job}")
    is_heard(page, run)
    assert page.locator("[data-late]").count() == 0


def test_a_connection_that_breaks_is_said_and_picked_up_again(plane, run, reader):
    reader.expected.append("ERR_INTERNET_DISCONNECTED")
    run.go_to(3)
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#stages", "3 of 26 steps")
    page.context.set_offline(True)
    shows(page, "#lost", "The control plane does not answer.")
    shows(page, "#link", "not live")
    shows(page, "#say", "The control plane does not answer.")
    assert "3 of 26 steps" in text(page, "#stages"), "what was known is still shown"
    run.go_to(5)
    run.event("note", "written while nobody listened", {})
    page.context.set_offline(False)
    shows(page, "#link", "live")
    shows(page, "#stages", "5 of 26 steps")
    shows(page, "#log", "written while nobody listened")
    assert page.is_hidden("#lost")
    run.event("note", "and after", {})
    shows(page, "#log", "and after")
    kept = [e.message for e in plane.store.events(run.job, limit=1000)]
    shown = page.locator("#log .text").all_inner_texts()
    assert shown == kept[::-1], "each event once, in its order"


def test_a_page_nobody_sees_gives_its_connection_back(plane, run, reader):
    """A browser has six connections to a host: seven open jobs would block each other."""
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#log", "base: accuracy")

    def see(hidden: str) -> None:
        page.evaluate(
            f"""() => {{
              Object.defineProperty(document, "hidden", {{ value: {hidden}, configurable: true }});
              document.dispatchEvent(new Event("visibilitychange"));
            }}"""
        )

    with page.expect_event("requestfailed", lambda r: r.url.endswith("/events")):
        see("true")
    run.event("note", "unseen so far", {})
    page.wait_for_timeout(1500)
    assert page.locator("#log").filter(has_text="unseen so far").count() == 0
    see("false")
    shows(page, "#log", "unseen so far")
    kept = [e.message for e in plane.store.events(run.job, limit=1000)]
    assert page.locator("#log .text").all_inner_texts() == kept[::-1]


def test_what_a_stream_left_out_is_fetched(plane, run, reader):
    """``gap`` stands for them. A browser is too quick to provoke one: it is put in on the way."""
    for i in range(20):
        run.event("note", f"note {i}", {})
    last = len(plane.store.events(run.job, limit=1000))
    gap = f'event: gap\nid: {last}\ndata: {{"from": 1, "to": {last}}}\n\n'

    def left_out(route):
        if route.request.headers.get("last-event-id") == "0":
            route.fulfill(content_type="text/event-stream", body=gap)
        else:
            route.continue_()

    reader.page.route(f"{plane.url}/v1/jobs/{run.job}/events", left_out)
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#log", "note 19")
    run.event("note", "and on", {})
    shows(page, "#log", "and on")
    kept = [e.message for e in plane.store.events(run.job, limit=1000)]
    assert page.locator("#log .text").all_inner_texts() == kept[::-1]


def test_a_long_log_is_shown_in_parts(run, reader, plane):
    for i in range(130):
        run.event("note", f"note {i}", {})
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#log", "note 129")
    total = len(plane.store.events(run.job, limit=1000))
    shows(page, "#log-more", f"Earlier events ({total - 50})")
    assert page.locator("#log > li").count() == 50
    while page.is_visible("#log-more"):
        page.click("#log-more")
    kept = [e.message for e in plane.store.events(run.job, limit=1000)]
    assert page.locator("#log .text").all_inner_texts() == kept[::-1]


def test_a_long_run_is_thinned_and_keeps_its_extremes(plane, run, reader):
    """6,000 steps come in several pages, and draw no more points than a line can show."""
    for step in range(1, 6001):
        length = 900.0 if step == 3456 else 100.0 + step % 7
        record = {"stage": "compression", "response_length_mean": length, "entropy": None}
        plane.store.append_metrics(run.job, 1, step, record)
    page = reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#length .u-over")
    page.locator("#steps tbody th", has_text="6000").wait_for(state="attached", timeout=60_000)
    says(page, "length", "End", "step 6000 ")
    says(page, "length", "Home", "step 1 ")
    found = page.evaluate(
        """async () => {
          const { thin } = await import("/assets/thin.js");
          const value = (i) => (i === 3455 ? 900 : 100 + ((i + 1) % 7));
          const column = Array.from({ length: 6000 }, (_, i) => value(i));
          column[10] = null;
          const short = thin([[1, 2, 3]], 10);
          const kept = thin([column, column.map(() => null)], 1500);
          return { kept, short, none: thin([[]], 10) };
        }"""
    )
    assert found["short"] == [0, 1, 2]
    assert found["none"] == []
    kept = found["kept"]
    assert kept == sorted(set(kept))
    assert {0, 3455, 5999} <= set(kept)
    assert 10 not in kept
    assert len(kept) <= 1500
    steps = {int(read(page, "length", "ArrowRight").split()[1]) for _ in range(4)}
    assert max(steps) > 5, "not every step is drawn"
    # The one long response of the run is still a spike: the line reaches it.
    area = page.locator("#length .u-over").bounding_box()
    spike = area["x"] + area["width"] * 3456 / 6000
    seen = set()
    for offset in range(-8, 9):
        page.mouse.move(spike + offset / 2, area["y"] + 30)
        seen.add(text(page, "#length .tip"))
    assert any("step 3456 compression mean 900.0" in words for words in seen), seen
