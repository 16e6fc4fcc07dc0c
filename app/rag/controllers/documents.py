"""Documents: taking in, listing, reading, changing, deleting."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import UnsupportedMediaError
from app.identity import Principal, Role, require
from app.listing import CreatedAfter, CreatedBefore, Search, Sort, Total, within
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.parsing.exceptions import ParsingError
from app.preconditions import Expected
from app.rag.constants import DocumentStatus
from app.rag.exceptions import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    InvalidValidityError,
    SourceExistsError,
    UnknownAccountError,
)
from app.rag.models import Document
from app.rag.schemas import (
    DocumentCreate,
    DocumentForm,
    DocumentProblem,
    DocumentText,
    DocumentUpdate,
    DocumentView,
)
from app.rag.service import documents, editing
from app.rag.visibility import audience_name
from app.requests import decode_body, decode_form

AnyRequest = Request[Any, Any, Any]
JSON = "application/json"
MULTIPART = "multipart/form-data"
LONGEST_FILENAME = 255
FILTERS_MAX = 50  # values of one filter
NOT_FOUND = documented(raises=[DocumentNotFoundError])

CollectionFilter = Annotated[
    list[UUID] | None,
    QueryParameter(
        name="collection_id",
        max_items=FILTERS_MAX,
        description="Documents of this collection. Several: any of them.",
    ),
]
StatusFilter = Annotated[
    list[DocumentStatus] | None,
    QueryParameter(
        name="status", max_items=FILTERS_MAX, description="Documents that stand here. Several: any of them."
    ),
]
VersionNumber = Annotated[
    int | None,
    QueryParameter(
        name="version",
        ge=1,
        le=2**31 - 1,
        description="A version's number; the default is the one answers use.",
    ),
]


class DocumentController(Controller):
    """Documents and their texts."""

    path = "/documents"
    tags = ["rag"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/",
        operation_id="create_document",
        guards=[require(Role.agent)],
        status_code=202,
        summary="Take in a document",
        opt=documented(
            raises=[
                CollectionNotFoundError,
                UnsupportedMediaError,
                ParsingError,
                UnknownAccountError,
                InvalidValidityError,
            ],
            bodies={JSON: DocumentCreate, MULTIPART: DocumentForm},
            headers={"Location": "Address of the document."},
        ),
    )
    async def create_document(
        self,
        request: AnyRequest,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[DocumentView]:
        """Store a document, as JSON with its text or as a form with a `file`, and queue it for the index.

        The answer comes before the document is searchable: follow `status`. With a `source` that the
        collection knows already it becomes a new version, of which only the changed chunks are embedded.
        """
        document = await documents.take_in(session, await _upload(request), actor=principal)
        return Response(
            _document(document, principal),
            status_code=202,
            headers={"Location": f"/v1/rag/documents/{document.id}"},
        )

    @get(
        "/",
        operation_id="list_documents",
        summary="List documents",
        opt=documented(listing=documents.DOCUMENTS),
    )
    async def list_documents(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        collection_ids: CollectionFilter = None,
        statuses: StatusFilter = None,
        text: Search = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[DocumentView]:
        """Documents that the caller may read, newest first; `q` looks in titles, staff's also in sources."""
        wanted = documents.listed(principal, collections=collection_ids, statuses=statuses, text=text)
        found = await documents.DOCUMENTS.fetch(
            session,
            wanted.where(within(Document.created_at, created_after, created_before)),
            sort=sort,
            cursor=cursor,
            limit=limit,
            total=total,
            filters={
                "collection_id": collection_ids,
                "status": statuses,
                "q": text,
                "created_after": created_after,
                "created_before": created_before,
            },
        )
        return found.page(lambda row: _document(row, principal))

    @get("/{document_id:uuid}", operation_id="get_document", summary="Get a document", opt=NOT_FOUND)
    async def get_document(
        self,
        document_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> DocumentView:
        """A document and where it stands on its way into the index."""
        return _document(await documents.get(session, document_id, principal=principal), principal)

    @get(
        "/{document_id:uuid}/text",
        operation_id="get_document_text",
        summary="Read a document's text",
        opt=documented(raises=[DocumentNotFoundError], etag=False),  # its version is the text's number
    )
    async def get_document_text(
        self,
        document_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        version: VersionNumber = None,
    ) -> DocumentText:
        """The stored text that citations point into; without `version` the one that answers use."""
        document, number, text = await documents.read_text(
            session, document_id, version=version, principal=principal
        )
        return DocumentText(document_id=document.id, version=number, title=document.title, text=text)

    @patch(
        "/{document_id:uuid}",
        operation_id="update_document",
        guards=[require(Role.agent)],
        summary="Change a document",
        opt=documented(
            raises=[
                DocumentNotFoundError,
                CollectionNotFoundError,
                SourceExistsError,
                UnknownAccountError,
                InvalidValidityError,
            ]
        ),
    )
    async def update_document(
        self,
        *,
        document_id: FromPath[UUID],
        data: JSONBody[DocumentUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> DocumentView:
        """Change who may read a document and when it holds, at once; or its title, which is taken in anew.

        With another title, product or product version it becomes a new version of the same content. Until
        that is searchable the one before is served, to those who belong to both audiences. Staff only.
        """
        wanted = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
        document = await editing.change(session, document_id, wanted, principal=principal, expected=expected)
        return _document(document, principal)

    @delete(
        "/{document_id:uuid}",
        operation_id="delete_document",
        guards=[require(Role.agent)],
        summary="Delete a document",
        opt=NOT_FOUND,
    )
    async def delete_document(
        self,
        document_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a document with its versions, passages and vectors; at once, for every search."""
        await documents.remove(session, document_id, principal=principal, expected=expected)


async def _upload(request: AnyRequest) -> documents.Upload:
    """The upload in a request's body, JSON or multipart; two handlers cannot share a path and a method."""
    kind = request.content_type[0]
    if kind == JSON:
        data = decode_body(await request.body(), kind, DocumentCreate)
        return _from_fields(data, content=data.content.encode(), filename=None, media_type=data.media_type)
    if kind == MULTIPART:
        form = await decode_form(request, DocumentForm)
        filename = form.file.filename.replace("\\", "/").rpartition("/")[2][-LONGEST_FILENAME:] or None
        return _from_fields(
            form,
            content=await form.file.read(),
            filename=filename,
            media_type=form.media_type or form.file.content_type,
        )
    raise UnsupportedMediaError(f"Send {JSON} or {MULTIPART}.")


def _from_fields(
    data: DocumentCreate | DocumentForm, *, content: bytes, filename: str | None, media_type: str | None
) -> documents.Upload:
    return documents.Upload(
        collection_id=data.collection_id,
        content=content,
        filename=filename,
        media_type=media_type,
        title=data.title,
        audience=data.audience,
        source=data.source,
        product=data.product,
        product_version=data.product_version,
        valid_from=data.valid_from,
        valid_until=data.valid_until,
    )


def _document(row: Document, principal: Principal) -> DocumentView:
    problem = DocumentProblem(code=row.error_code, detail=row.error_detail) if row.error_code else None
    return DocumentView(
        id=row.id,
        collection_id=row.collection_id,
        title=row.title,
        source=row.source if principal.is_staff else None,
        filename=row.filename,
        media_type=row.media_type,
        audience=audience_name(row.audience),
        language=row.language,
        product=row.product,
        product_version=row.product_version,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        status=DocumentStatus(row.status),
        progress=row.progress,
        error=problem,
        version=row.version,
        latest_version=row.latest_version,
        served_version=row.served_version,
        content_hash=row.content_hash,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
