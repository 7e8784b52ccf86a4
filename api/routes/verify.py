"""Verdicts on responses, without a job."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.dependencies import Caller, Ctx
from api.operation import Operation, needs
from api.schemas import CaseVerdict, CaseVerdicts, Verify
from services.verification.case import Case

router = APIRouter(prefix="/v1/verify", tags=["verification"], route_class=Operation)


@router.post(
    "",
    response_model=CaseVerdicts,
    operation_id="verify",
    openapi_extra=needs("jobs:write", only_looks=True),
)
async def verify(body: Verify, request: Request, context: Ctx, caller: Caller) -> CaseVerdicts:
    """Judge responses as a job would. A response that the verifier could not judge has the verdict
    ``timeout`` or ``error``, never ``incorrect``."""
    cases = [
        Case(
            (c.gold,) if isinstance(c.gold, str) else tuple(c.gold),
            c.output,
            body.policy,
            c.tolerance,
        )
        for c in body.cases
    ]
    found = await context.verification.judge(
        cases, body.kind, request.state.request_id, caller.tenant
    )
    return CaseVerdicts(
        data=[
            CaseVerdict(
                id=c.id,
                verdict=j.verdict,
                reason=j.reason,
                well_formed=j.well_formed,
                seconds=j.seconds,
            )
            for c, j in zip(body.cases, found, strict=True)
        ]
    )
