-- No vector of the question: words alone must do.
    select CAST(null AS uuid) as id, CAST(null AS float8) as distance
    where CAST(:embedding AS text) is not null
