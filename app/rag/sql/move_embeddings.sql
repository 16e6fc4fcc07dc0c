-- The columns that a filtered vector scan reads follow the document.
update chunk_embedding e
set audience = CAST(:audience AS text[]), valid_from = CAST(:valid_from AS timestamptz),
    valid_until = CAST(:valid_until AS timestamptz)
from chunk c
where c.document_id = CAST(:document_id AS uuid) and e.chunk_id = c.id
    and (e.audience, e.valid_from, e.valid_until) is distinct from
        (CAST(:audience AS text[]), CAST(:valid_from AS timestamptz), CAST(:valid_until AS timestamptz))
