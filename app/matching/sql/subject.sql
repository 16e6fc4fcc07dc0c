-- The stored side of a comparison with a thing that is in the index: its words' text, signatures and vector.
select m.title, m.body, m.signatures, (
        select CAST(e.embedding AS text) from matchable_embedding e
        where e.matchable_id = m.id and e.model_id = CAST(:model_id AS smallint) and e.text_hash = m.text_hash
    ) as embedding
from matchable m
where m.id = CAST(:id AS uuid) and m.subject_type = CAST(:type AS text)
