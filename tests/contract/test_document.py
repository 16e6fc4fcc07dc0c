"""What the published document promises to whoever generates a client from it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.identity import Role
from app.problems import PROBLEM_JSON
from tests.contract.conftest import ABSENT

PROBLEM = {"$ref": "#/components/schemas/Problem"}
PROBES = {"get_liveness", "get_readiness"}
SIGNED = {"receive_email", "receive_stripe_event"}  # carry signatures of their own; off until configured
SHOWN = {"list_public_boards", "get_public_board", "list_public_requests", "get_public_request"}
SHOWN |= {"list_public_comments", "get_public_roadmap", "list_public_releases"}  # to everybody
PUBLIC = PROBES | SIGNED | SHOWN


def every(node: Any):
    """Every object inside a piece of JSON."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from every(child)
    elif isinstance(node, list):
        for child in node:
            yield from every(child)


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_operation_has_a_readable_id_of_its_own(operations):
    ids = [operation.id for operation in operations]
    assert len(set(ids)) == len(ids)
    assert [each for each in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)*", each)] == []


def test_every_operation_is_described(operations, document):
    known = {tag["name"] for tag in document["tags"] if tag["description"]}
    for operation in operations:
        assert re.fullmatch(r"[A-Z][A-Za-z' ]+", operation.node["summary"]), operation.id
        assert operation.node["description"].strip(), operation.id
        assert set(operation.node["tags"]) <= known, operation.id
        for parameter in operation.node.get("parameters", []):
            assert "$ref" in parameter or parameter.get("description"), (operation.id, parameter)


def test_every_error_is_our_problem_and_the_frameworks_own_schema_is_gone(operations, document):
    for operation in operations:
        errors = {status: each for status, each in operation.node["responses"].items() if status >= "400"}
        assert {"400", "500"} <= set(errors), operation.id
        for status, response in errors.items():
            (media_type,) = response["content"]
            assert (media_type, response["content"][media_type]["schema"]) == (PROBLEM_JSON, PROBLEM), (
                operation.id
            )
            for example in response["content"][media_type]["examples"].values():
                assert str(example["value"]["status"]) == status
    assert not [node for node in every(document) if "status_code" in node.get("properties", {})]


def test_the_statuses_are_those_that_the_operation_can_give(operations):
    given = {operation.id: " ".join(sorted(operation.node["responses"])) for operation in operations}
    assert given["get_liveness"] == "200 400 500"
    assert given["get_readiness"] == "200 400 500 503"
    assert given["list_documents"] == "200 400 401 429 500 503"
    assert given["create_collection"] == "201 400 401 403 409 413 415 422 429 500 503"
    assert given["create_document"] == "202 400 401 403 404 409 413 415 422 429 500 503"
    assert given["search_chunks"] == "200 400 401 413 415 429 500 503"
    assert given["create_person"] == "201 400 401 403 409 413 415 422 429 500 503"


def test_every_response_names_the_request(operations):
    for operation in operations:
        for status, response in operation.node["responses"].items():
            assert "X-Request-ID" in response["headers"], (operation.id, status)


def test_a_bearer_is_asked_for_everywhere_but_at_the_probes_and_what_is_signed_or_shown(operations, document):
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert {operation.id for operation in operations if operation.is_public} == PUBLIC
    assert all("security" not in operation.node for operation in operations if not operation.is_public)


def test_components_have_names_that_a_client_author_would_choose(document):
    names = list(document["components"]["schemas"])
    assert [name for name in names if not re.fullmatch(r"([A-Z][a-z]+)+", name)] == []
    assert [name for name in names if name.endswith("View")] == []
    assert {
        "Document",
        "DocumentPage",
        "Answer",
        "AnswerPage",
        "Chat",
        "Collection",
        "Feedback",
        "Role",
    } <= set(names)


def test_every_reference_leads_somewhere_and_every_component_is_used(document):
    used = {node["$ref"] for node in every(document) if "$ref" in node}
    assert used == {
        f"#/components/{kind}/{name}"
        for kind, members in document["components"].items()
        if kind != "securitySchemes"
        for name in members
    }


def test_a_request_with_a_field_too_many_does_not_fit_the_document(operations, document):
    for operation in operations:
        for body in operation.node.get("requestBody", {}).get("content", {}).values():
            if operation.id in SIGNED:  # what a mail provider posts is not ours to say
                continue
            name = body["schema"]["$ref"].rpartition("/")[2]
            assert document["components"]["schemas"][name]["additionalProperties"] is False, name


def test_limits_are_published_where_the_framework_drops_them(document):
    schemas = document["components"]["schemas"]
    ids = schemas["SearchFilters"]["properties"]["document_ids"]["anyOf"][0]
    assert (ids["minItems"], ids["maxItems"], ids["items"]["format"]) == (1, 200, "uuid")
    assert schemas["DocumentCreate"]["properties"]["title"]["anyOf"][0]["maxLength"] == 500
    assert schemas["Role"]["enum"] == sorted(role.value for role in Role)


def test_times_say_that_they_are_times(document):
    for name, schema in document["components"]["schemas"].items():
        for field, member in schema.get("properties", {}).items():
            if field.endswith(("_at", "_from", "_until")) or field == "as_of":
                assert "date-time" in str(member), (name, field)


def test_a_citation_is_told_apart_by_its_kind(document):
    citation = document["components"]["schemas"]["CitationEvent"]["properties"]["citation"]
    assert citation["discriminator"]["propertyName"] == "kind"
    assert set(citation["discriminator"]["mapping"]) == {"chunk", "record"}


def test_no_answer_with_a_secret_is_kept_for_replays(operations, document):
    """Whoever returns one says so; a new one that forgets it is found by its schema."""
    schemas = document["components"]["schemas"]
    returning = {
        operation.id
        for operation in operations
        for status, response in operation.node["responses"].items()
        for node in every(response.get("content", {}))
        if status < "300"
        and "secret" in schemas.get(str(node.get("$ref")).rpartition("/")[2], {}).get("properties", {})
    }
    saying = {
        each.id for each in operations if "idempotency_replay_has_secret" in str(each.node["responses"])
    }
    assert returning == saying
    assert "create_api_key" in saying


def test_what_follows_from_the_guarantees_is_on_every_operation(operations):
    for operation in operations:
        shown = str(operation.node["parameters"])
        if operation.method == "post" and operation.id not in PUBLIC | {"search_chunks"}:
            assert "IdempotencyKey" in shown or "'Idempotency-Key'" in shown, operation.id
            success = min(operation.node["responses"])
            assert "Idempotency-Replayed" in operation.node["responses"][success]["headers"], operation.id
        assert ("IfMatch" in shown) is ("412" in operation.node["responses"]), operation.id
        assert ("IfNoneMatch" in shown) is ("304" in operation.node["responses"]), operation.id
        if not operation.is_public:
            assert "Retry-After" in operation.node["responses"]["429"]["headers"], operation.id


def test_every_field_of_a_response_is_always_there(document):
    for name in ("DocumentPage", "Document", "Answer", "Chat"):
        schema = document["components"]["schemas"][name]
        assert schema["required"] == list(schema["properties"]), name


def test_a_query_parameter_is_left_out_and_never_null(operations):
    for operation in operations:
        for parameter in operation.node.get("parameters", []):
            assert "null" not in str(parameter), (operation.id, parameter)


def test_a_form_field_is_left_out_and_never_null(document):
    assert "null" not in str(document["components"]["schemas"]["DocumentForm"])


@pytest.mark.parametrize("operation_id", ["ask", "ask_in_chat"])
def test_an_answer_comes_as_json_first_and_as_events(operations, operation_id):
    (operation,) = [each for each in operations if each.id == operation_id]
    content = operation.node["responses"]["200"]["content"]
    assert list(content) == ["application/json", "text/event-stream"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Answer"}
    assert len(content["text/event-stream"]["schema"]["contentSchema"]["anyOf"]) == 5


def test_a_document_is_taken_as_json_and_as_a_form(operations, document):
    (operation,) = [each for each in operations if each.id == "create_document"]
    assert list(operation.node["requestBody"]["content"]) == ["application/json", "multipart/form-data"]
    as_json, as_form = (
        document["components"]["schemas"][name] for name in ("DocumentCreate", "DocumentForm")
    )
    assert set(as_json["properties"]) - set(as_form["properties"]) == {"content"}
    assert set(as_form["properties"]) - set(as_json["properties"]) == {"file"}
    assert as_form["properties"]["file"]["format"] == "binary"
    assert "Location" in operation.node["responses"]["202"]["headers"]


async def test_the_served_document_is_the_one_that_the_app_makes(client, document):
    response = await client.get("/schema/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document


async def test_no_operation_answers_without_a_key_but_the_probes_and_what_is_shown(client, operations):
    """Whatever the path and body: who calls comes first."""
    for operation in operations:
        response = await client.request(operation.method, operation.address)
        is_whole = operation.id in PROBES | {"list_public_boards"}
        expected = {200} if is_whole else {404} if operation.is_public else {401}
        assert {response.status_code} == expected, operation.id
        if not operation.is_public:
            assert response.headers["www-authenticate"] == "Bearer"


async def test_options_and_the_document_agree_on_the_methods(client, operations):
    for path, address in {(operation.path, operation.address) for operation in operations}:
        methods = {each.method.upper() for each in operations if each.path == path}
        heads = {"HEAD"} if "GET" in methods else set()
        response = await client.options(address)
        assert set(response.headers["allow"].split(", ")) == methods | heads | {"OPTIONS"}, path


async def test_the_example_of_every_body_works(as_role, operations, unique):
    """Those with an id of something that need not exist are told so, and nothing else."""
    async with as_role("admin") as client:
        for operation in operations:
            body = operation.node.get("requestBody", {}).get("content", {}).get("application/json")
            if body is None or operation.id in SIGNED:
                continue
            path = operation.address
            key = {"Idempotency-Key": f"{unique} {operation.id}"} if operation.method == "post" else {}
            response = await client.request(operation.method, path, json=body["example"], headers=key)
            needs_an_id = ABSENT in path + str(body["example"])
            allowed = {404, 422} if needs_an_id else {200, 201, 409}
            assert response.status_code in allowed, (operation.id, response.text)
