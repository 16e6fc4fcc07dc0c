-- Kept chunks follow their text to the new version: place and span change, words and vector do not.
update chunk c
set version = CAST(:version AS integer), ordinal = r.ordinal, span_start = r.span_start, span_end = r.span_end,
    heading_path = r.heading_path, audience = CAST(:audience AS text[]),
    valid_from = CAST(:valid_from AS timestamptz), valid_until = CAST(:valid_until AS timestamptz)
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r (
    id uuid, ordinal integer, heading_path text[], span_start integer, span_end integer)
where c.id = r.id
