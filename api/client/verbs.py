"""What the verbs of every topic have in common."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from api.transport import Transport

Answer = TypeVar("Answer", bound=BaseModel)


class Verbs:
    """Requests whose answers are read as a schema."""

    _http: Transport

    def _ask(self, answer: type[Answer], method: str, path: str, **options: Any) -> Answer:
        """Send a request and read its answer, as far as it is known here."""
        found = self._http.json(method, path, **options)
        return answer.model_validate(found, extra="ignore")

    def _get(self, answer: type[Answer], path: str, **params: Any) -> Answer:
        return self._ask(answer, "GET", path, params=given(**params))


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
