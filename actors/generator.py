"""A vLLM generation worker."""

from __future__ import annotations

import time
from typing import Any

import ray

from services.rollout.engine import RolloutEngine
from services.rollout.request import Decoding, RolloutRequest
from services.spec.job import GeneratorSpec
from services.weights import Bundle


class Generator:
    """Thin shell around :class:`RolloutEngine`: groups leave as references, never as payload."""

    def __init__(self, name: str, model_path: str, spec: dict[str, Any], seed: int) -> None:
        self.name = name
        self._engine = RolloutEngine(model_path, GeneratorSpec.model_validate(spec), seed=seed)

    def ready(self) -> str:
        """Return the worker's name once the engine is up."""
        return self.name

    def generate(
        self, requests: list[dict[str, Any]], decoding: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Answer the requests; return one record a group with ``ref`` in a list of its own."""
        started = time.monotonic()
        groups = self._engine.generate(
            [RolloutRequest.model_validate(r) for r in requests], Decoding.model_validate(decoding)
        )
        seconds = time.monotonic() - started
        return [
            {
                "group_id": g.group_id,
                "ref": [ray.put(g.columns())],
                "tokens": len(g.response_ids),
                "version": g.policy_version,
                "seconds": seconds,
            }
            for g in groups
        ]

    def opens_thinking(self) -> bool:
        """Return whether the chat template opens the model's thought."""
        return self._engine.opens_thinking()

    def thinkless_tokens(self, conversations: list[tuple[str, str]]) -> list[int]:
        """Return the tokens of each ``(prompt, response)`` as Thinkless counts them."""
        return self._engine.thinkless_tokens(conversations)

    def load_weights(self, version: int, ref: list[ray.ObjectRef[Bundle]], expected: str) -> str:
        """Load a published policy and confirm its checksum."""
        return self._engine.load_weights(version, ray.get(ref[0], timeout=120), expected)
