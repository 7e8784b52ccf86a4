"""Metrics for Prometheus, in its text format."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from api.dependencies import Ctx
from api.operation import Operation, needs
from api.prometheus_collector import JobCollector

router = APIRouter(tags=["metrics"], route_class=Operation)


@router.get(
    "/metrics",
    response_class=Response,
    operation_id="prometheusMetrics",
    openapi_extra=needs("metrics:read"),
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def prometheus(context: Ctx) -> Response:
    """Series of every job at work or just ended, in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(JobCollector(context))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
