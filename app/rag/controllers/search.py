"""Search over chunks."""

from __future__ import annotations

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from app.database import Database
from app.identity import Principal
from app.rag.evidence import section
from app.rag.retrieval import Hit, Scope
from app.rag.runtime import Rag
from app.rag.schemas import Scores, SearchFilters, SearchItem, SearchRequest, SearchResults
from app.rag.service import documents
from app.rag.visibility import as_of
from app.redaction import redact


@post("/search", operation_id="search_chunks", tags=["rag"], status_code=200, summary="Search")
async def search(
    data: JSONBody[SearchRequest],
    rag: NamedDependency[Rag],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> SearchResults:
    """Find passages by words and meaning, best first, among the documents that the caller may read."""
    filters = data.filters or SearchFilters()
    query = redact(data.query)  # it may go to an endpoint of somebody else's
    embedding = await rag.answerer.embed(query)
    async with database.session() as session:
        scope = Scope(
            audiences=principal.audiences,
            collections=tuple(data.collections) if data.collections else None,
            as_of=as_of(principal, filters.as_of),
            documents=await documents.narrow(
                session,
                principal=principal,
                ids=filters.document_ids,
                product=filters.product,
                product_version=filters.product_version,
                language=filters.language,
            ),
        )
        hits = await rag.retriever.search(
            session, query=query, embedding=embedding, scope=scope, limit=data.limit
        )
    return SearchResults(items=[_item(hit, principal) for hit in hits])


def _item(hit: Hit, principal: Principal) -> SearchItem:
    return SearchItem(
        chunk_id=hit.chunk_id,
        document_id=hit.document_id,
        version=hit.version,
        collection_id=hit.collection_id,
        title=hit.title,
        source=hit.source if principal.is_staff else None,
        heading_path=section(hit),
        text=hit.text,
        start=hit.start,
        end=hit.end,
        scores=Scores(
            fused=hit.score,
            bm25=hit.bm25,
            share=hit.share,
            cosine=hit.cosine,
            rank_bm25=hit.rank_bm25,
            rank_dense=hit.rank_dense,
        ),
    )
