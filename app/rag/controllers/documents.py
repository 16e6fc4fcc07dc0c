"""Collections and documents: taking in, listing, reading, deleting."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import UnsupportedMediaError
from app.identity import Principal, Role, require
from app.openapi import documented
from app.pagination import Cursor, Limit, Page, Position, page
from app.parsing.exceptions import ParsingError
from app.rag.constants import DocumentStatus
from app.rag.exceptions import (
    CollectionExistsError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    InvalidValidityError,
    UnknownAccountError,
)
from app.rag.models import Collection, Document
from app.rag.schemas import (
    CollectionCreate,
    CollectionView,
    DocumentCreate,
    DocumentForm,
    DocumentProblem,
    DocumentText,
    DocumentView,
)
from app.rag.service import collections, documents
from app.rag.visibility import audience_name
from app.requests import decode_body, decode_form

AnyRequest = Request[Any, Any, Any]
JSON = "application/json"
MULTIPART = "multipart/form-data"
LONGEST_FILENAME = 255
NOT_FOUND = documented(raises=[DocumentNotFoundError])

CollectionFilter = Annotated[
    UUID | None, QueryParameter(name="collection_id", description="Documents of this collection.")
]
StatusFilter = Annotated[
    DocumentStatus | None, QueryParameter(name="status", description="Documents that stand here.")
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


class CollectionController(Controller):
    """Named sets of documents."""

    path = "/collections"
    tags = ["rag"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/",
        operation_id="create_collection",
        guards=[require(Role.agent)],
        summary="Create a collection",
        opt=documented(raises=[CollectionExistsError]),
    )
    async def create_collection(
        self, data: JSONBody[CollectionCreate], session: NamedDependency[AsyncSession]
    ) -> CollectionView:
        """Make a collection; its name is unique."""
        return _collection(await collections.create(session, name=data.name, description=data.description))

    @get("/", operation_id="list_collections", summary="List collections")
    async def list_collections(
        self,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[CollectionView]:
        """Collections that hold something the caller may read, newest first."""
        rows = await collections.list_page(session, principal=principal, cursor=cursor, limit=limit)
        return page(
            rows, limit=limit, show=_collection, position=lambda row: Position(row.created_at, row.id)
        )


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
        document = await documents.take_in(session, await _upload(request), created_by=principal.person_id)
        return Response(
            _document(document, principal),
            status_code=202,
            headers={"Location": f"/v1/rag/documents/{document.id}"},
        )

    @get("/", operation_id="list_documents", summary="List documents")
    async def list_documents(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        collection_id: CollectionFilter = None,
        status: StatusFilter = None,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[DocumentView]:
        """Documents that the caller may read, newest first."""
        rows = await documents.list_page(
            session,
            principal=principal,
            collection_id=collection_id,
            status=status,
            cursor=cursor,
            limit=limit,
        )
        return page(
            rows,
            limit=limit,
            show=lambda row: _document(row, principal),
            position=lambda row: Position(row.created_at, row.id),
        )

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
        opt=NOT_FOUND,
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
    ) -> None:
        """Delete a document with its versions, passages and vectors; at once, for every search."""
        await documents.remove(session, document_id, principal=principal)


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


def _collection(row: Collection) -> CollectionView:
    return CollectionView(id=row.id, name=row.name, description=row.description, created_at=row.created_at)


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
        version=row.latest_version,
        served_version=row.served_version,
        content_hash=row.content_hash,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
