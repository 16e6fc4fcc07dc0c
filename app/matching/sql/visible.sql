m.subject_type = any (CAST(:types AS text[]))
        and m.audience && CAST(:audiences AS text[])
        and {id} <> all (CAST(:exclude AS uuid[])){allowed}
