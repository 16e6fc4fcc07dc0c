"""Each operation of the framework's document, completed from its handler."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.types import Empty

from app.listing import Listing
from app.openapi.components import REFERENCE, Components, example_of, not_null
from app.openapi.declarations import Declaration, declaration_of
from app.openapi.errors import describe, errors_of, is_public
from app.openapi.guarantees import (
    HEADERS,
    LATER,
    LIMITS,
    PARAMETERS,
    parameters_of,
    required_key,
    success_headers,
)
from app.problems import Problem

JSON = "application/json"
MULTIPART = "multipart/form-data"
EVENT_STREAM = "text/event-stream"
SUCCESSES = {200: "Done.", 201: "Made.", 202: "Taken in; the work goes on.", 204: "Done; there is no body."}
REQUEST_ID = "X-Request-ID"
REQUEST_ID_REFERENCE = {"$ref": "#/components/headers/RequestId"}
REQUEST_ID_PARAMETER = {"$ref": "#/components/parameters/RequestId"}
Node = dict[str, Any]


class Operations:
    """Completes operations one by one; what they share gathers in its attributes."""

    def __init__(self) -> None:
        self.components = Components()
        self.parameters: dict[str, Node] = {}
        self.headers: dict[str, Node] = {}
        self._problem = self.components.taken(Problem)

    def complete(self, operation: Node, handler: HTTPRouteHandler) -> None:
        """Close what the framework leaves open: bodies, responses, errors, security, parameters."""
        declaration = declaration_of(handler)
        parameters = [self._parameter(each, handler) for each in operation.get("parameters") or ()]
        if handler.summary is None:
            operation["summary"] = (
                operation["operationId"].replace("_", " ").capitalize().replace("api", "API")
            )
        bodies = _bodies(handler, declaration)
        if bodies:
            body = handler.parsed_fn_signature.parameters.get("data")
            content = self._request_body(bodies, declaration)
            operation["requestBody"] = {"required": body is None or not body.has_default, "content": content}
        responses = {str(handler.status_code): self._success(operation, handler, declaration)}
        in_path = any(each["in"] == "path" for each in parameters)
        for status, kinds in errors_of(handler, has_path_parameters=in_path, has_body=bool(bodies)).items():
            responses[str(status)] = describe(status, kinds, self._problem)
        shared = parameters_of(handler, _returned(handler))
        if "IfNoneMatch" in shared:
            responses["304"] = {
                "description": "You have this version already.",
                "headers": {"ETag": self._shared_header("ETag")},
            }
        for code, response in responses.items():
            self._add_headers(response, code, public=is_public(handler))
        operation["responses"] = dict(sorted(responses.items()))
        operation["parameters"] = [
            *parameters,
            *required_key(handler),
            *(self._shared_parameter(name) for name in shared),
            REQUEST_ID_PARAMETER,
        ]
        if is_public(handler):
            operation["security"] = []
        if operation.get("deprecated") is False:
            del operation["deprecated"]

    def _shared_parameter(self, name: str) -> Node:
        self.parameters[name] = PARAMETERS[name]
        return {"$ref": f"#/components/parameters/{name}"}

    def _shared_header(self, name: str) -> Node:
        self.headers[name] = HEADERS[name]
        return {"$ref": f"#/components/headers/{name}"}

    def _add_headers(self, response: Node, status: str, *, public: bool) -> None:
        headers = response.setdefault("headers", {})
        headers[REQUEST_ID] = REQUEST_ID_REFERENCE
        if not public:
            headers.update({header: self._shared_header(name) for header, name in LIMITS.items()})
        if status in LATER:
            headers["Retry-After"] = self._shared_header("RetryAfter")

    def _parameter(self, parameter: Node, handler: HTTPRouteHandler) -> Node:
        """A parameter is left out or has a value: null has no form in a URL."""
        schema: Node = not_null(parameter["schema"])
        # The framework keeps limits as floats, whatever their type.
        schema = {
            key: int(value) if isinstance(value, float) and value.is_integer() else value
            for key, value in schema.items()
        }
        if "$ref" in schema or "enum" in schema:
            schema = self.components.taken(_parameter_type(parameter["name"], handler))
        described = {
            "name": parameter["name"],
            "in": parameter["in"],
            "required": parameter.get("required", False),
            "schema": schema,
        }
        if description := parameter.get("description"):
            described["description"] = description
            schema.pop("description", None)
        listing = declaration_of(handler).listing
        if listing is not None and parameter["name"] == "sort":
            _describe_sort(described, listing)
        if parameter["in"] == "path":
            described.setdefault("description", f"Id of the {parameter['name'].removesuffix('_id')}.")
        return described

    def _request_body(self, bodies: dict[str, Any], declaration: Declaration) -> Node:
        content: Node = {}
        for media_type, kind in bodies.items():
            schema = self.components.taken(kind)
            content[media_type] = {"schema": schema}
            if media_type == MULTIPART:
                self.components.without_null(schema)
            if media_type == JSON:
                example = declaration.example or example_of(
                    content[media_type]["schema"], self.components.schemas
                )
                content[media_type]["example"] = example
        return content

    def _success(self, operation: Node, handler: HTTPRouteHandler, declaration: Declaration) -> Node:
        generated = operation["responses"][str(handler.status_code)]
        success: Node = {"description": SUCCESSES.get(handler.status_code, generated["description"])}
        if declaration.headers:
            success["headers"] = {
                name: {"description": text, "required": True, "schema": {"type": "string"}}
                for name, text in declaration.headers.items()
            }
        kind = _returned(handler)
        for header, name in success_headers(handler, kind).items():
            success.setdefault("headers", {})[header] = self._shared_header(name)
        content: Node = {}
        if kind is not None:
            # JSON comes first: a generator of clients takes the first form it understands.
            content[JSON] = {"schema": self.components.shown(kind)}
        if declaration.events:
            content[EVENT_STREAM] = {"schema": self._stream(declaration.events)}
        return {**success, "content": content} if content else success

    def _stream(self, events: Any) -> Node:
        schemas = {name: self.components.shown(kind) for name, kind in events.items()}
        lines = [f"- `{name}`: {schema['$ref'].removeprefix(REFERENCE)}" for name, schema in schemas.items()]
        return {
            "type": "string",
            "description": "Server-sent events; `data` is the JSON of the schema named by `event`:\n"
            + "\n".join(lines),
            "contentMediaType": JSON,
            "contentSchema": {"anyOf": list(schemas.values())},
        }


def _describe_sort(parameter: Node, listing: Listing[Any]) -> None:
    """The keys, for people and as a pattern: an enum would give a client two names for one key."""
    names = ", ".join(f"`{name}`" for name in listing.sorts)
    parameter["description"] = f"One of {names}; with `-` before it the greatest first."
    parameter["schema"]["pattern"] = f"^-?({'|'.join(listing.sorts)})$"
    parameter["schema"]["default"] = listing.default


def _bodies(handler: HTTPRouteHandler, declaration: Declaration) -> dict[str, Any]:
    if declaration.bodies:
        return dict(declaration.bodies)
    data = handler.parsed_fn_signature.parameters.get("data")
    return {} if data is None else {JSON: data.annotation}


def _returned(handler: HTTPRouteHandler) -> Any:
    """What the handler returns, without the response around it; None for no content."""
    returned = handler.parsed_fn_signature.return_type
    if returned.is_subclass_of(Response):
        return returned.inner_types[0].raw if returned.inner_types else None
    return None if returned.is_none_type or returned.annotation in (None, Empty) else returned.raw


def _parameter_type(name: str, handler: HTTPRouteHandler) -> Any:
    for field in handler.parsed_fn_signature.parameters.values():
        if name in (field.name, getattr(field.kwarg_definition, "name", None)):
            inner = [each for each in field.inner_types if not each.is_none_type]
            return inner[0].annotation if field.is_optional and inner else field.annotation
    raise RuntimeError(f"the parameter {name} is not in the handler's signature")
