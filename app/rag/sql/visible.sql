{alias}.audience && CAST(:audiences AS text[])
        and (CAST(:collections AS uuid[]) is null or {alias}.collection_id = any (CAST(:collections AS uuid[])))
        and (CAST(:documents AS uuid[]) is null
            or {chunk} in (select n.id from chunk n where n.document_id = any (CAST(:documents AS uuid[]))))
        and (CAST(:excluded AS uuid) is null
            or {chunk} not in (select n.id from chunk n where n.document_id = CAST(:excluded AS uuid)))
        and ({alias}.valid_from is null or {alias}.valid_from <= CAST(:as_of AS timestamptz))
        and ({alias}.valid_until is null or {alias}.valid_until > CAST(:as_of AS timestamptz))
