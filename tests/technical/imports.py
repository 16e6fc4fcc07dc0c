"""What the tests of imports share: sending a file, running its job, exports of other systems."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
from litestar import Litestar
from sqlalchemy import text

from app.database import Database
from app.technical.service.importing import Importer

ROUTE = "/v1/technical/tickets/import"


@dataclass(frozen=True)
class Desk:
    """A lead with an origin of their own."""

    app: Litestar
    database: Database
    client: httpx.AsyncClient
    origin: str

    @property
    def importer(self) -> Importer:
        """The job's handler as the app has it."""
        return Importer(self.database, self.app.state.technical)

    async def send(self, content: bytes, **fields: Any) -> httpx.Response:
        """Upload a file."""
        name = fields.pop("filename", "export")
        return await self.client.post(
            ROUTE, data={"origin": self.origin} | fields, files={"file": (name, content, "text/csv")}
        )

    async def run(self, content: bytes, **fields: Any) -> dict[str, Any]:
        """Upload a file and work through it; the import as it is then."""
        response = await self.send(content, **fields)
        assert response.status_code == 202, response.text
        await self.importer.run(UUID(response.json()["id"]))
        return await self.shown(response.json()["id"])

    async def shown(self, import_id: str) -> dict[str, Any]:
        found = await self.client.get(f"/v1/technical/imports/{import_id}")
        assert found.status_code == 200, found.text
        return dict(found.json())

    async def errors(self, import_id: str) -> list[dict[str, Any]]:
        found = await self.client.get(f"/v1/technical/imports/{import_id}/errors", params={"limit": 100})
        assert found.status_code == 200, found.text
        return list(found.json()["items"])

    async def ticket(self, external_id: str) -> dict[str, Any]:
        """The ticket of this origin with this id there, as the API shows it."""
        async with self.database.session() as session:
            statement = text("select id from ticket where origin = :origin and external_id = :id")
            found = await session.scalar(statement, {"origin": self.origin, "id": external_id})
        assert found is not None, f"no ticket {external_id}"
        response = await self.client.get(f"/v1/technical/tickets/{found}")
        return dict(response.json())

    async def messages(self, external_id: str) -> list[dict[str, Any]]:
        ticket = await self.ticket(external_id)
        found = await self.client.get(f"/v1/technical/tickets/{ticket['id']}/messages", params={"limit": 100})
        assert found.status_code == 200, found.text
        return list(found.json()["items"])

    async def count(self) -> tuple[int, int]:
        """(tickets, messages) of this origin."""
        statement = text("""
            select count(distinct t.id), count(m.id) from ticket t
            left join conversation c on c.subject_type = 'ticket' and c.subject_id = t.id
            left join message m on m.conversation_id = c.id
            where t.origin = :origin
        """)
        async with self.database.session() as session:
            row = (await session.execute(statement, {"origin": self.origin})).one()
        return int(row[0]), int(row[1])


def jsonl(*rows: Any) -> bytes:
    """One row a line."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_csv(rows: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    """With the titles of the first row."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def zendesk(**changed: Any) -> dict[str, Any]:
    """A ticket with two comments, as Zendesk's JSON export has it."""
    requester = {"id": 2001, "name": "Ada Byron", "email": f"ada-{uuid4()}@example.com"}
    return {
        "url": "https://example.zendesk.com/api/v2/tickets/35436.json",
        "id": 35436,
        "external_id": None,
        "via": {"channel": "web"},
        "created_at": "2025-03-01T10:00:00Z",
        "updated_at": "2025-03-03T12:00:00Z",
        "subject": "Export stops",
        "description": "The export stops with error 504.",
        "priority": "high",
        "status": "solved",
        "requester_id": 2001,
        "requester": requester,
        "organization": {"id": 509, "name": f"Analytical Engines {uuid4()}"},
        "tags": ["Export", "enterprise"],
        "custom_fields": [{"id": 27642, "value": "745"}],
        "satisfaction_rating": {"score": "good"},
        "comments": [
            {
                "id": 1,
                "body": "The export stops with error 504.",
                "public": True,
                "author_id": 2001,
                "created_at": "2025-03-01T10:00:00Z",
            },
            {
                "id": 2,
                "body": "We raised the limit.",
                "public": True,
                "author_id": 9,
                "created_at": "2025-03-01T11:30:00Z",
            },
            {
                "id": 3,
                "body": "A big customer.",
                "public": False,
                "author_id": 9,
                "created_at": "2025-03-01T11:31:00Z",
            },
        ],
    } | changed


def zammad(**changed: Any) -> dict[str, Any]:
    """A ticket with two articles, as Zammad's API has it with ``expand``."""
    address = f"nicole-{uuid4()}@example.com"
    return {
        "id": 7,
        "number": "22007",
        "title": "Login fails",
        "group": "Users",
        "state": "pending reminder",
        "priority": "3 high",
        "customer": address,
        "owner": "-",
        "created_at": "2025-05-01T08:00:00.000Z",
        "updated_at": "2025-05-02T08:00:00.000Z",
        "close_at": None,
        "articles": [
            {
                "id": 11,
                "from": f"Nicole Braun <{address}>",
                "body": "<div>I cannot <b>log in</b>.<script>alert(1)</script></div>",
                "content_type": "text/html",
                "internal": False,
                "sender": "Customer",
                "created_at": "2025-05-01T08:00:00.000Z",
            },
            {
                "id": 12,
                "from": "Agent <agent@desk.example>",
                "body": "Try again, please.",
                "content_type": "text/plain",
                "internal": False,
                "sender": "Agent",
                "created_at": "2025-05-01T09:00:00.000Z",
            },
        ],
    } | changed
