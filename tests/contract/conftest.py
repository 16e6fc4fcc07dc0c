"""The published document, and the server that keeps it, on a socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from litestar import Litestar

from app.main import create_app
from app.requests import wrap_in_context
from tests.live import serve

ABSENT = "019a0000-0000-7000-8000-000000000001"
METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    path: str
    method: str
    node: dict[str, Any]

    @property
    def id(self) -> str:
        return self.node["operationId"]

    @property
    def is_public(self) -> bool:
        return self.node.get("security") == []

    @property
    def address(self) -> str:
        """Its path with ids of nothing."""
        path = re.sub(r"\{\w*(?:version|job_id)\w*\}", "2147483647", self.path)
        return re.sub(r"\{\w+\}", ABSENT, path)


def operations_of(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(path, method, node)
        for path, item in document["paths"].items()
        for method, node in item.items()
        if method in METHODS
    ]


@pytest.fixture(scope="session")
async def app(settings, database, rag) -> Litestar:
    """The real app; its lifespan is not entered: what it would open is given."""
    app = create_app(settings, database=database, rag=rag)
    wrap_in_context(app)
    return app


@pytest.fixture(scope="session")
async def document(app) -> dict[str, Any]:
    """The document as the app publishes it."""
    return app.openapi_schema.to_schema()


@pytest.fixture(scope="session")
def operations(document) -> list[Operation]:
    return operations_of(document)


@pytest.fixture(scope="module")
async def live(settings, database, keys) -> Iterator[str]:
    """Address of a server of its own on the run's database: real sockets, a worker, its own event loop."""
    own = replace(settings, worker_in_server=True, database_url=database.dsn())
    with serve(create_app(own)) as url:
        yield url
