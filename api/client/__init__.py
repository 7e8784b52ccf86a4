"""Client of the REST API: a verb for each operation. What it returns are the schemas of the API.

Fields that a newer control plane has added are left out; everything else must be as the schemas
say.
"""

from __future__ import annotations

from api.client.client import Client
from api.client.steering import AnyJob, NotYetEnded, is_evaluation
from api.download import DigestMismatch
from api.transport import DEFAULT_URL, KEY_VARIABLE, VARIABLE, ApiError, Unreachable

__all__ = [
    "DEFAULT_URL",
    "KEY_VARIABLE",
    "VARIABLE",
    "AnyJob",
    "ApiError",
    "Client",
    "DigestMismatch",
    "NotYetEnded",
    "Unreachable",
    "is_evaluation",
]
