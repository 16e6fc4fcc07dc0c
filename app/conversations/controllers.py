"""Routes of attachments. Messages have none here: they are the desks', below their cases."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.conversations.exceptions import (
    AttachmentNotFoundError,
    AttachmentRefusedError,
    AttachmentTooLargeError,
    ConversationNotFoundError,
    EmptyAttachmentError,
    TooManyUploadsError,
)
from app.conversations.files import UNKNOWN, content_disposition
from app.conversations.schemas import AttachmentForm, AttachmentView
from app.conversations.service import attachments, show_attachment
from app.exceptions import UnsupportedMediaError
from app.identity import Principal
from app.openapi import documented
from app.requests import decode_form

AnyRequest = Request[Any, Any, Any]
MULTIPART = "multipart/form-data"
FORM_OVERHEAD = 64 * 1024  # bytes around the file in a multipart body
NOT_FOUND = documented(raises=[AttachmentNotFoundError])
# A browser that opens the address nevertheless runs nothing, loads nothing, and is in nobody's frame.
SANDBOX = "default-src 'none'; frame-ancestors 'none'; sandbox"


class AttachmentController(Controller):
    """Files that go with messages."""

    path = "/v1/attachments"
    tags = ["attachments"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/",
        operation_id="create_attachment",
        summary="Upload an attachment",
        opt=documented(
            raises=[
                EmptyAttachmentError,
                AttachmentTooLargeError,
                AttachmentRefusedError,
                TooManyUploadsError,
                ConversationNotFoundError,
                UnsupportedMediaError,
            ],
            bodies={MULTIPART: AttachmentForm},
            headers={"Location": "Address of the attachment."},
        ),
    )
    async def create_attachment(
        self,
        request: AnyRequest,
        state: State,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[AttachmentView]:
        """Store a file, which only its uploader sees until a message is posted with its id.

        What is not sent within 24 hours is deleted. The type is read from the content, not taken from the
        form; programs, and names that a computer runs when they are opened, are refused.
        """
        if request.content_type[0] != MULTIPART:
            raise UnsupportedMediaError(f"Send {MULTIPART}.")
        form = await decode_form(request, AttachmentForm)
        attachment = await attachments.store(
            session,
            uploader=principal,
            content=await form.file.read(),
            name=form.file.filename,
            maximum=state.settings.attachment_max_bytes,
            conversation_id=form.conversation_id,
        )
        address = f"/v1/attachments/{attachment.id}"
        return Response(show_attachment(attachment), status_code=201, headers={"Location": address})

    @get(
        "/{attachment_id:uuid}",
        operation_id="get_attachment",
        summary="Get an attachment",
        opt=NOT_FOUND,
    )
    async def get_attachment(
        self,
        attachment_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> AttachmentView:
        """What is known of a file. Who may read its message may read it; before it is sent, its uploader."""
        return show_attachment(await attachments.get(session, attachment_id, principal=principal))

    @get(
        "/{attachment_id:uuid}/content",
        operation_id="get_attachment_content",
        summary="Download an attachment",
        media_type=UNKNOWN,
        opt=NOT_FOUND,
    )
    async def get_attachment_content(
        self,
        attachment_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[bytes]:
        """The file itself, as bytes to be saved: a browser never shows it at this address."""
        attachment = await attachments.read(session, attachment_id, principal=principal)
        headers = {
            "Content-Disposition": content_disposition(attachment.name),
            "Content-Security-Policy": SANDBOX,
            "Cache-Control": "private, no-store",
        }
        return Response(attachment.content, media_type=UNKNOWN, headers=headers)


def attachments_router(settings: Settings) -> Router:
    """The routes, with the body limit that the largest attachment needs."""
    return Router(
        path="/",
        route_handlers=[AttachmentController],
        request_max_body_size=settings.attachment_max_bytes + FORM_OVERHEAD,
    )
