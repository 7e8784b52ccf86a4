"""Examples of the OpenAPI document, and which operation an answer leads to."""

from __future__ import annotations

from typing import Any, Final

from api.schemas import Event, EventPage, Job, JobPage, JobSummary, StageChange
from services.presets.registry import resolve
from services.stores.protocol import EventRecord, JobRecord, Origin

_ID: Final = "job-0123456789"
_FORK: Final = "job-abcdefghij"
_TIME: Final = 1_764_000_000.0


def _job(**changes: Any) -> JobRecord:
    values: dict[str, Any] = {
        "id": _ID,
        "kind": "training",
        "name": "tiny-cpu",
        "spec": resolve("tiny-cpu"),
        "preset": "tiny-cpu",
        "state": "queued",
        "cause": None,
        "attempt": 1,
        "created_at": _TIME,
        "updated_at": _TIME,
        "started_at": None,
        "finished_at": None,
        "heartbeat_at": None,
        "progress": None,
        "ray_submission_id": None,
        "labels": {"team": "reasoning"},
    }
    return JobRecord(**{**values, **changes})


def _running() -> JobRecord:
    return _job(
        state="running",
        started_at=_TIME + 2,
        heartbeat_at=_TIME + 60,
        updated_at=_TIME + 60,
        ray_submission_id=f"{_ID}-1",
        revision=3,
        progress={
            "stage": "compression",
            "stage_index": 0,
            "cycle": 1,
            "step": 3,
            "total_steps": 38,
            "stage_step": 3,
            "stage_steps": 26,
            "phase": "train",
            "eta_seconds": 290.0,
        },
    )


def _body(value: Any) -> Any:
    return value.model_dump(mode="json")


_CREATE: Final = {
    "preset": {
        "summary": "A preset, shortened and filed under a label",
        "value": {
            "preset": "tiny-cpu",
            "overrides": {"stages": {"compression": {"steps": 10}}},
            "labels": {"team": "reasoning"},
        },
    },
    "specification": {
        "summary": "A whole specification",
        "value": {"spec": _body(resolve("tiny-cpu"))},
    },
}

REQUESTS: Final[dict[str, Any]] = {
    "createJob": _CREATE,
    "validateJob": _CREATE,
    "estimateJob": {
        "preset": {
            "summary": "A preset whose responses have been measured",
            "value": {"preset": "tiny-cpu", "mean_response_tokens": 60},
        }
    },
    "createEvaluation": {
        "benchmark": {
            "summary": "What a job has made, on questions of one's own",
            "value": {
                "spec": {
                    "model": {"path": f"job:{_ID}/exploration"},
                    "benchmarks": [{"path": "/data/questions.jsonl"}],
                }
            },
        }
    },
    "cancelJob": {
        "reason": {
            "summary": "At once, and why",
            "value": {"reason": "wrong data", "grace_seconds": 10},
        }
    },
    "pauseJob": {"reason": {"summary": "Why", "value": {"reason": "the cluster is needed"}}},
    "resumeJob": {
        "newest": {"summary": "From the newest checkpoint", "value": {}},
        "earlier": {
            "summary": "Back to an earlier one",
            "value": {"from_step": 20, "reason": "entropy collapsed after it"},
        },
    },
    "forkJob": {
        "newest": {"summary": "The same from the newest checkpoint on", "value": {}},
        "change": {
            "summary": "Another learning rate from step 20 on",
            "value": {
                "step": 20,
                "name": "slower",
                "overrides": {"stages": {"exploration": {"learning_rate": 1e-6}}},
            },
        },
    },
    "changeStage": {"next": {"summary": "The stage that follows", "value": {"to": "next"}}},
    "promoteModel": {
        "checkpoint": {
            "summary": "The policy of step 38",
            "value": {"job": _ID, "step": 38},
        }
    },
    "createWebhook": {
        "ends": {
            "summary": "How jobs end",
            "value": {
                "url": "https://example.com/hooks/laconic",
                "topics": ["job.succeeded", "job.failed", "job.cancelled"],
            },
        }
    },
}
"""By operation id."""

_EVENT: Final = EventRecord(
    id=2,
    time=_TIME + 2,
    type="state",
    message="starting",
    level="info",
    attempt=1,
    data={"from": "queued", "to": "starting", "cause": None},
)

RESPONSES: Final[dict[str, dict[str, Any]]] = {
    "createJob": {"201": _body(Job.of(_job()))},
    "forkJob": {"201": _body(Job.of(_job(id=_FORK, forked_from=Origin(_ID, 20))))},
    "getJob": {"200": _body(Job.of(_running()))},
    "listJobs": {
        "200": _body(JobPage(data=[JobSummary.of(_running())], has_more=False, next_cursor=None))
    },
    "changeStage": {"202": _body(StageChange(to="next", command=1))},
    "getEvents": {"200": _body(EventPage(data=[Event.of(_EVENT)], has_more=False, next_after=2))},
}
"""By operation id and status."""


def _link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "description": description, "parameters": parameters}


_OF_JOB: Final = {
    "job": _link("getJob", "Look at it.", job_id="$response.body#/id"),
    "cancel": _link("cancelJob", "End it.", job_id="$response.body#/id"),
    "pause": _link("pauseJob", "Free its workers.", job_id="$response.body#/id"),
    "resume": _link("resumeJob", "Go on with it.", job_id="$response.body#/id"),
    "events": _link("getEvents", "Its log.", job_id="$response.body#/id"),
    "metrics": _link("getMetrics", "Its figures.", job_id="$response.body#/id"),
}

LINKS: Final[dict[str, Any]] = {
    "createJob": _OF_JOB,
    "cancelJob": {"job": _OF_JOB["job"]},
    "forkJob": {"job": _OF_JOB["job"], "cancel": _OF_JOB["cancel"]},
    "pauseJob": {"job": _OF_JOB["job"], "resume": _OF_JOB["resume"]},
    "resumeJob": {"job": _OF_JOB["job"], "cancel": _OF_JOB["cancel"]},
    "createEvaluation": {
        "evaluation": _link("getEvaluation", "Look at it.", job_id="$response.body#/id"),
        "cancel": _link("cancelEvaluation", "End it.", job_id="$response.body#/id"),
    },
    "createWebhook": {
        "webhook": _link("getWebhook", "Look at it.", webhook_id="$response.body#/id"),
        "delete": _link("deleteWebhook", "Take it away.", webhook_id="$response.body#/id"),
        "test": _link("testWebhook", "Try it.", webhook_id="$response.body#/id"),
    },
    "promoteModel": {"model": _link("getModel", "Look at it.", name="$request.path.name")},
}
"""By operation id: where a 201 or 202 leads."""
