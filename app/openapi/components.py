"""Schemas of Structs, made by msgspec, under the names that a client's author reads.

msgspec's own schemas are JSON Schema 2020-12, which is OpenAPI 3.1's: limits on list items and values, tagged
unions with a discriminator and closed objects are all there, unlike in the framework's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar.datastructures import UploadFile
from msgspec import inspect, structs

REFERENCE = "#/components/schemas/"
GENERIC = re.compile(r"([A-Za-z0-9]+)_([A-Za-z0-9]+)_")
Schema = dict[str, Any]


class Components:
    """Collects the component schemas of one document."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._origin: dict[str, str] = {}

    def taken(self, annotation: Any) -> Schema:
        """Schema of something that a request carries; fields with a default may be left out."""
        return self._add(annotation, complete=False)

    def shown(self, annotation: Any) -> Schema:
        """Schema of something that a response carries; every field is always there."""
        return self._add(annotation, complete=True)

    def without_null(self, schema: Schema) -> None:
        """Fields of this component are left out or have a value: null has no form in a form."""
        component = self.schemas[schema["$ref"].removeprefix(REFERENCE)]
        for name, member in component["properties"].items():
            component["properties"][name] = not_null(member)

    def _add(self, annotation: Any, *, complete: bool) -> Schema:
        (schema,), components = msgspec.json.schema_components(
            [annotation], schema_hook=_foreign, ref_template=REFERENCE + "{name}"
        )
        moments = dict(_moments(inspect.type_info(annotation), set()))
        for name, component in components.items():
            described = _rewritten(component)
            described.pop("title", None)
            for moment in moments.get(name, ()):
                _mark_date_time(described["properties"][moment])
            self._keep(name, described, complete=complete)
        rewritten: Schema = _rewritten(schema)
        return rewritten

    def _keep(self, name: str, schema: Schema, *, complete: bool) -> None:
        """Keep it once; what is both taken and shown is published as it is taken."""
        published = published_name(name)
        completed = _completed(schema)
        if self._origin.setdefault(published, name) != name or (
            published in self.schemas and _completed(self.schemas[published]) != completed
        ):
            raise RuntimeError(f"two different schemas would be published as {published}")
        if not complete:
            self.schemas[published] = schema
        self.schemas.setdefault(published, completed)


def not_null(schema: Schema) -> Schema:
    """The same without the choice of null."""
    for choice in ("oneOf", "anyOf"):
        present = [each for each in schema.get(choice, ()) if each.get("type") != "null"]
        if len(present) == 1:
            rest = {key: value for key, value in schema.items() if key != choice and value is not None}
            return {**present[0], **rest}
    return schema


def published_name(name: str) -> str:
    """``CollectionView`` is a ``Collection`` to the world, ``Page[CollectionView]`` a ``CollectionPage``."""
    if generic := GENERIC.fullmatch(name):
        return published_name(generic[2]) + published_name(generic[1])
    return name.removesuffix("View")


def _moments(node: Any, seen: set[int]) -> Iterator[tuple[str, list[str]]]:
    """(component, its fields that are times): msgspec names the format only where an offset is asked for."""
    if isinstance(node, inspect.StructType):
        if id(node) in seen:
            return
        seen.add(id(node))
        (reference,), _ = msgspec.json.schema_components(
            [node.cls], schema_hook=_foreign, ref_template="{name}"
        )
        yield reference["$ref"], [each.encode_name for each in node.fields if _is_time(each.type)]
    if isinstance(node, msgspec.Struct):
        for child in structs.asdict(node).values():
            yield from _moments(child, seen)
    elif isinstance(node, tuple):
        for child in node:
            yield from _moments(child, seen)


def _is_time(node: inspect.Type) -> bool:
    if isinstance(node, inspect.Metadata):
        return _is_time(node.type)
    if isinstance(node, inspect.UnionType):
        return any(_is_time(each) for each in node.types)
    return isinstance(node, inspect.DateTimeType)


def _mark_date_time(schema: Schema) -> None:
    for each in (schema, *schema.get("anyOf", ())):
        if each.get("type") == "string":
            each["format"] = "date-time"


def _foreign(kind: type) -> Schema:
    if kind is UploadFile:
        return {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    raise TypeError(f"{kind!r} has no schema")


def _completed(schema: Schema) -> Schema:
    """The same with every property there."""
    if "properties" not in schema:
        return schema
    members = {
        name: {key: value for key, value in member.items() if key != "default"}
        for name, member in schema["properties"].items()
    }
    return {**schema, "properties": members, "required": list(members)}


def _rewritten(node: Any) -> Any:
    """A copy with published names, and ``const`` where only one value is allowed."""
    if isinstance(node, list):
        return [_rewritten(each) for each in node]
    if isinstance(node, str) and node.startswith(REFERENCE):
        return REFERENCE + published_name(node.removeprefix(REFERENCE))
    if not isinstance(node, dict):
        return node
    written = {key: _rewritten(value) for key, value in node.items()}
    values = written.get("enum")
    if isinstance(values, list) and len(values) == 1:
        del written["enum"]
        written = {"type": "string", **written, "const": values[0]}
    return written


def example_of(schema: Schema, schemas: dict[str, Schema]) -> Any:
    """A value that fits, from the fields' own examples; optional fields without one are left out."""
    if examples := schema.get("examples"):
        return examples[0]
    if reference := schema.get("$ref"):
        return example_of(schemas[reference.removeprefix(REFERENCE)], schemas)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return example_of(schema[choice][0], schemas)
    if schema.get("type") == "object":
        return _example_object(schema, schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    return schema.get("const") or next(iter(schema.get("enum", [])), _PLAIN.get(schema.get("format", "")))


_PLAIN = {"uuid": "019a0000-0000-7000-8000-000000000001", "date-time": "2026-01-31T09:30:00Z"}


def _example_object(schema: Schema, schemas: dict[str, Schema]) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        name: example_of(member, schemas)
        for name, member in schema.get("properties", {}).items()
        if name in required or "examples" in str(member)
    }
