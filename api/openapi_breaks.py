"""What a client of one OpenAPI document would miss in another: operations and fields that are gone,
inputs that are refused now, inputs that are needed now. A pure function over two documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

Json = Mapping[str, Any]
Way = Literal["sent", "answered"]

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def breaks(old: Json, new: Json) -> list[str]:
    """What works by ``old`` and not by ``new``, one sentence each; empty where nothing does.

    More operations, optional inputs, fields and values of answers are no break.
    """
    return list(dict.fromkeys(_Comparison(old, new).all()))


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[str, str, Way]] = set()
        """References that are being compared: schemas may hold themselves."""

    def all(self) -> Iterator[str]:
        for path, item in self._old["paths"].items():
            for method in _METHODS:
                if method not in item:
                    continue
                name = f"{method.upper()} {path}"
                there = self._new["paths"].get(path, {}).get(method)
                if there is None:
                    yield f"{name} is gone"
                    continue
                if item[method].get("operationId") != there.get("operationId"):
                    yield f"{name} has another operation id"
                yield from self._parameters(name, item[method], there)
                yield from self._body(name, item[method], there)
                yield from self._answers(name, item[method], there)

    def _parameters(self, name: str, old: Json, new: Json) -> Iterator[str]:
        before, after = self._by_name(self._old, old), self._by_name(self._new, new)
        for key, parameter in before.items():
            where = f"{name}: {key[0]} parameter {key[1]}"
            if key in after:
                yield from self._schema(
                    where, parameter.get("schema", {}), after[key].get("schema", {}), "sent"
                )
            elif key[0] not in ("header", "cookie"):  # Those are ignored where they are not known.
                yield f"{where} is gone"
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{name}: {key[0]} parameter {key[1]} is required now"

    def _by_name(self, document: Json, operation: Json) -> dict[tuple[str, str], Json]:
        found = [_resolved(document, p) for p in operation.get("parameters", ())]
        return {
            (p["in"], p["name"].lower() if p["in"] == "header" else p["name"]): p for p in found
        }

    def _body(self, name: str, old: Json, new: Json) -> Iterator[str]:
        before = _resolved(self._old, old.get("requestBody", {}))
        after = _resolved(self._new, new.get("requestBody", {}))
        if after.get("required") and not before.get("required"):
            yield f"{name}: a body is required now"
        for kind, media in before.get("content", {}).items():
            if kind not in after.get("content", {}):
                yield f"{name}: a body of {kind} is not taken any more"
                continue
            there = after["content"][kind]
            yield from self._schema(
                f"{name}: body", media.get("schema", {}), there.get("schema", {}), "sent"
            )

    def _answers(self, name: str, old: Json, new: Json) -> Iterator[str]:
        for status, found in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            if status not in new.get("responses", {}):
                yield f"{name}: the answer {status} is gone"
                continue
            before = _resolved(self._old, found).get("content", {})
            after = _resolved(self._new, new["responses"][status]).get("content", {})
            for kind, media in before.items():
                if kind not in after:
                    yield f"{name}: the answer {status} is not {kind} any more"
                    continue
                where = f"{name}: answer {status}"
                yield from self._schema(
                    where, media.get("schema", {}), after[kind].get("schema", {}), "answered"
                )

    def _schema(self, where: str, old: Json, new: Json, way: Way) -> Iterator[str]:
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")), way)
        if all(pair[:2]):
            if pair in self._open:
                return
            self._open.add(pair)
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        yield from self._values(where, old, new, way)
        yield from self._fields(where, old, new, way)
        if "items" in old and "items" in new:
            yield from self._schema(f"{where}, items", old["items"], new["items"], way)
        yield from self._variants(where, old, new, way)
        self._open.discard(pair)

    def _values(self, where: str, old: Json, new: Json, way: Way) -> Iterator[str]:
        if "type" in old and "type" in new and old["type"] != new["type"]:
            yield f"{where} was {old['type']} and is {new['type']}"
        if way == "answered":
            return
        if "enum" in new or "const" in new:
            if not ("enum" in old or "const" in old):
                yield f"{where} takes only some values now"
            for value in _enumerated(old):
                if value not in _enumerated(new):
                    yield f"{where} does not take {value!r} any more"
        for bound, sign in [*((b, 1) for b in _LEAST), *((b, -1) for b in _MOST)]:
            if bound in new and (bound not in old or (new[bound] - old[bound]) * sign > 0):
                yield f"{where} is bounded more tightly: {bound} {new[bound]}"
        if "pattern" in new and new["pattern"] != old.get("pattern"):
            yield f"{where} must match another pattern: {new['pattern']}"

    def _fields(self, where: str, old: Json, new: Json, way: Way) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self._schema(f"{where}, {name}", schema, after[name], way)
            elif new.get("additionalProperties") in (None, False) or way == "answered":
                yield f"{where}, {name} is gone"
        needed, need = set(old.get("required", ())), set(new.get("required", ()))
        if way == "sent":
            yield from (f"{where}, {name} is required now" for name in sorted(need - needed))
        else:
            lost = (needed - need) & set(after)
            yield from (f"{where}, {name} may be missing now" for name in sorted(lost))

    def _variants(self, where: str, old: Json, new: Json, way: Way) -> Iterator[str]:
        for word in ("anyOf", "oneOf", "allOf"):
            before, after = _named(old.get(word, ())), _named(new.get(word, ()))
            if not before:
                continue
            for name, schema in before.items():
                if name in after:
                    yield from self._schema(where, schema, after[name], way)
                elif way == "sent":
                    yield f"{where} does not take {name} any more"
            if way == "answered":
                yield from (f"{where} may be {name} now" for name in after if name not in before)


def _enumerated(schema: Json) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _named(variants: Any) -> dict[str, Json]:
    """Variants by what they are; a reference by its name."""
    found: dict[str, Json] = {}
    for variant in variants:
        name = str(variant.get("$ref", "")).rpartition("/")[2] or str(
            variant.get("const", variant.get("type", variant.get("title", "anything")))
        )
        found[name] = variant
    return found


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema
