"""A desk of the tests: how little a desk's routes need for its conversations."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.schemas import MessageCreate, MessageUpdate, MessageView
from app.events import Subject
from app.identity import Principal
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

SUBJECT = "test_case"

Sort = Annotated[str | None, QueryParameter(name="sort")]
Words = Annotated[str, QueryParameter(name="q")]


class Case(Struct, frozen=True, kw_only=True):
    """What a desk knows of its case."""

    id: UUID


def subject_of(case_id: UUID) -> Subject:
    return Subject(SUBJECT, case_id)


class CaseController(Controller):
    """Cases of the test desk."""

    path = "/v1/test-cases"
    tags = ["health"]  # noqa: RUF012 - the framework reads the plain list

    @post("/", operation_id="create_test_case")
    async def create(
        self, session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]
    ) -> Case:
        """Open a case of the caller's own."""
        case = Case(id=uuid4())
        await conversations.open_conversation(
            session,
            subject_of(case.id),
            actor=principal,
            account_id=principal.account_id,
            requester_id=principal.person_id,
        )
        return case

    @get("/", operation_id="list_test_cases")
    async def find(
        self, q: Words, session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]
    ) -> list[UUID]:
        """Cases in which it is said."""
        wanted = conversations.subjects_matching(principal, q, subject_type=SUBJECT)
        return list(await session.scalars(wanted.distinct()))

    @post("/{case_id:uuid}/messages", operation_id="post_test_message")
    async def post_message(
        self,
        case_id: FromPath[UUID],
        data: JSONBody[MessageCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> MessageView:
        """Post."""
        conversation = await conversations.get(session, subject_of(case_id), principal=principal)
        fields = structs.asdict(data)
        posted = await conversations.post(
            session, conversation, author=principal, body_format=fields.pop("format"), **fields
        )
        return await conversations.show_message(session, posted.message, principal=principal)

    @get("/{case_id:uuid}/messages", operation_id="list_test_messages")
    async def list_messages(
        self,
        *,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        sort: Sort = None,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[MessageView]:
        """List."""
        conversation = await conversations.get(session, subject_of(case_id), principal=principal)
        return await conversations.list_messages(
            session, conversation, principal=principal, limit=limit, sort=sort, cursor=cursor
        )

    @patch("/{case_id:uuid}/messages/{message_id:uuid}", operation_id="edit_test_message")
    async def edit_message(
        self,
        *,
        case_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[MessageUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> MessageView:
        """Edit."""
        conversation = await conversations.get(session, subject_of(case_id), principal=principal)
        message = await conversations.edit(
            session, conversation, message_id, actor=principal, body=data.body, check=expected.check
        )
        return await conversations.show_message(session, message, principal=principal)
