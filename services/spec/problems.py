"""What is wrong with a specification: one shape for every source of objections."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from services.spec.evaluation_job import EvaluationJobSpec
from services.spec.job import JobSpec

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """One objection."""

    pointer: str
    """JSON pointer (RFC 6901) into the specification, e.g. ``/model/path``."""
    detail: str
    """What is wrong, and the remedy."""


class SpecError(ValueError):
    """A specification that no job can be made of."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.pointer or '/'}: {p.detail}" for p in self.problems))


def parse_spec(data: Any) -> JobSpec:
    """Read the specification of a training job.

    Raises:
        SpecError: with one :class:`Problem` for each objection.
    """
    return _parse(JobSpec, data)


def parse_evaluation(data: Any) -> EvaluationJobSpec:
    """Read the specification of an evaluation, as :func:`parse_spec` does."""
    return _parse(EvaluationJobSpec, data)


def _parse(model: type[S], data: Any) -> S:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise SpecError(problems_of(error, model, data)) from error


def problems_of(error: ValidationError, model: type[BaseModel], data: Any) -> list[Problem]:
    """Translate pydantic's objections to ``data``, a would-be ``model``."""
    errors = error.errors(include_url=False)
    return [_problem(dict(e), model, data) for e in errors if not _echo(dict(e))]


def _echo(error: Mapping[str, Any]) -> bool:
    """Whether a list is called too short only because its entries were objected to."""
    if error["type"] != "too_short":
        return False
    return len(error["input"]) >= int(error["ctx"]["min_length"])


def pointer(parts: Iterable[str | int]) -> str:
    """JSON pointer of a path of keys and indices."""
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)


def _problem(error: Mapping[str, Any], model: type[BaseModel], data: Any) -> Problem:
    path, tags = _without_tags(error["loc"], data)
    kind = error["type"]
    message = str(error["msg"]).removeprefix("Value error, ").replace("valid tuple", "valid list")
    owner = _owner(model, path[:-1], tags) if path else None
    if kind == "value_error":
        # Our own validators open with the field they mean, relative to the model they stand on.
        here = _owner(model, path, tags)
        named = re.match(r"[a-z_]+(\.[a-z_]+|\.\d+)*", message)
        if here and named and named[0].split(".")[0] in here.model_fields:
            path = [*path, *named[0].split(".")]
        detail = message
    elif kind == "extra_forbidden":
        detail = _unknown_field(path, owner)
    elif kind == "union_tag_invalid":
        path = [*path, "type"]
        detail = f"unknown type; choose one of {error['ctx']['expected_tags']}"
    elif kind == "union_tag_not_found":
        path = [*path, "type"]
        detail = "this field is required; it chooses the variant"
    else:
        detail = _objection(error, message) + _about(owner, path)
    return Problem(pointer(path), detail)


def _objection(error: Mapping[str, Any], message: str) -> str:
    if error["type"] == "missing":
        return "this field is required; add it"
    if error["type"] == "too_short" and not error["input"]:
        return "is empty; give at least one entry"
    return f"{message}; got {_short(error['input'])}"


def _about(owner: type[BaseModel] | None, path: Sequence[str | int]) -> str:
    """The description of the field, which says what would be right."""
    field = owner.model_fields.get(str(path[-1])) if owner and path else None
    if field is None or not field.description:
        return ""
    return " (" + " ".join(field.description.split()).rstrip(".") + ")"


def _without_tags(loc: Sequence[str | int], data: Any) -> tuple[list[str | int], dict[int, str]]:
    """Drop the union tags pydantic puts into a location; say before which index each stood."""
    path: list[str | int] = []
    tags: dict[int, str] = {}
    for part in loc:
        if (
            isinstance(data, Mapping)
            and isinstance(part, str)
            and part not in data
            and data.get("type") == part
        ):
            tags[len(path)] = part
            continue
        path.append(part)
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = None
    return path, tags


def _owner(
    model: type[BaseModel], path: Sequence[str | int], tags: Mapping[int, str]
) -> type[BaseModel] | None:
    """The model class found at ``path`` below ``model``, None where there is none."""
    current: type[BaseModel] | None = model
    for index, part in enumerate(path):
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if current else None
        if field is None:
            return None
        # The tag of a list's entry stands behind the entry's index.
        entry = index + 1 < len(path) and isinstance(path[index + 1], int)
        current = _choose(list(_models(field.annotation)), tags.get(index + 1 + entry))
    return current


def _choose(models: list[type[BaseModel]], tag: str | None) -> type[BaseModel] | None:
    if len(models) == 1:
        return models[0]
    for model in models:
        kind = model.model_fields.get("type")
        if tag is not None and kind is not None and tag in get_args(kind.annotation):
            return model
    return None


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    """All model classes an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple, list, Literal):
        for argument in get_args(annotation):
            yield from _models(argument)


def _unknown_field(path: Sequence[str | int], owner: type[BaseModel] | None) -> str:
    name = str(path[-1])
    known = sorted(owner.model_fields) if owner else []
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"unknown field {name!r}; did you mean {close[0]!r}?"
    options = f"; the fields here are {', '.join(known)}" if known else ""
    return f"unknown field {name!r}; remove it{options}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
