"""Generated requests, good and bad, with every role's key: the server answers only what the document says.

Ids of things that exist are put in for half of the cases, so that more than 404 is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as example_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.main import create_app
from tests.live import serve

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROLES = ["customer", "agent", "lead", "admin"]
FEW, MANY = 4, 40  # examples an operation, role and mode


@pytest.fixture(scope="module")
def server(settings, database, keys) -> Iterator[str]:
    """A server without a worker: generated documents are not worth embedding."""
    with serve(create_app(replace(settings, database_url=database.dsn()))) as url:
        yield url
        release_fields(url, keys["admin"])


def release_fields(url: str, key: str) -> None:
    """Generated custom fields ask for nothing any more: others make tickets in the same database."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        for each in client.get("/v1/technical/fields", params={"limit": 100}).json()["items"]:
            client.patch(f"/v1/technical/fields/{each['id']}", json={"required_on": "none"})


def billed(client: httpx.Client, name: str) -> dict[str, str]:
    """Ids of things of the billing desk."""

    def post(path: str, **body: Any) -> Any:
        key = {"Idempotency-Key": f"{path} {name}"}
        response = client.post(f"/v1/billing/{path}", json=body, headers=key)
        assert response.is_success, response.text
        return response.json()

    plan = {"plan": "p", "plan_name": "P", "unit_amount": 100, "interval": "month"}
    sums = {"subtotal": 100}
    items = {
        "invoice": {"status": "open", "total": 0},
        "payment": {"status": "succeeded", "amount": 1000},
        "refund": {"status": "succeeded", "amount": 100, "payment": name},
        "subscription": {"status": "active"} | plan,
        "dispute": {"status": "needs_response", "amount": 100, "payment": name},
        "credit-note": {"status": "issued", "invoice": name} | sums,
    }
    found = {}
    for kind, item in items.items():
        made = post(f"{kind}s/import", items=[item | {"external_id": name, "currency": "EUR"}])
        assert made["succeeded"] == 1, made
        found[f"{kind.replace('-', '_')}_id"] = made["items"][0]["result"]["id"]
    case = post("cases", kind="invoice_question", subject=name, description="What is this for?")
    return found | {"case_id": case["id"], "policy_version": "1"}


@pytest.fixture(scope="module")
def existing(server, keys) -> dict[str, str]:
    """An id of each kind of thing, by the parameter's name; none is a caller's own."""
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {keys['admin']}"}) as client:

        def make(path: str, **body: Any) -> str:
            response = client.post(path, json=body)
            assert response.is_success, response.text
            return response.json()["id"]

        name = f"conformance-{uuid4()}"
        collection = make("/v1/rag/collections", name=name)
        return {
            "collection_id": collection,
            "document_id": make(
                "/v1/rag/documents", collection_id=collection, content="Refunds take 14 days."
            ),
            "answer_id": make("/v1/rag/answers", question="How long do refunds take?"),
            "chat_id": make("/v1/rag/chats"),
            "account_id": make("/v1/identity/accounts", external_id=name, name=name),
            "person_id": make("/v1/identity/people", name=name),
            "key_id": make("/v1/identity/keys", name=name, role="agent"),
            "ticket_id": make("/v1/technical/tickets", subject=name, description="It stops."),
            "other_id": make("/v1/technical/tickets", subject=name, description="It stops."),
            "issue_id": make("/v1/technical/issues", title=name, description="It stops."),
            "team_id": make("/v1/technical/teams", name=name),
            "macro_id": make(
                "/v1/technical/macros", name=name, body="Hello {{requester.name}}", visibility="shared"
            ),
            "view_id": make("/v1/technical/views", name=name, visibility="shared"),
            **billed(client, name),
        }


@pytest.fixture(scope="module")
def conform(server, existing, keys, document) -> Callable[[str, GenerationMode, int], int]:
    """Runs the generated cases of one role; how many there were."""
    schema = schemathesis.openapi.from_dict(document)

    def run(role: str, mode: GenerationMode, examples: int) -> int:
        seen = 0
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {keys[role]}"
            for result in schema.get_all_operations():
                operation = result.ok()
                if operation.path == "/v1/events/stream":
                    continue  # its good answers never end

                @example_settings(
                    max_examples=examples,
                    deadline=None,
                    database=None,
                    derandomize=examples == FEW,
                    phases=[Phase.explicit, Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def check(case: schemathesis.Case) -> None:
                    nonlocal seen
                    seen += 1
                    if seen % 2:
                        for name in set(case.path_parameters or {}) & set(existing):
                            case.path_parameters[name] = existing[name]
                    response = case.call(base_url=server, session=session)
                    case.validate_response(response, checks=CHECKS)

                check()
        return seen

    return run


def test_head_leaves_no_body_behind_on_the_connection(server, keys):
    """The next answer on the same connection is whole, which it would not be after a body."""
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {keys['admin']}"}) as client:
        for path in ("/v1/rag/collections", "/", "/schema/openapi.json"):
            headed, got = client.head(path), client.get(path)
            assert (headed.status_code, headed.content) == (200, b""), path
            assert headed.headers["content-length"] == got.headers["content-length"], path


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("role", ROLES)
def test_the_server_answers_only_what_the_document_says(conform, role, mode):
    assert conform(role, mode, FEW) >= 30


@pytest.mark.proof
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("role", ROLES)
def test_the_server_answers_only_what_the_document_says_at_full_size(conform, role, mode):
    assert conform(role, mode, MANY) >= 300
