"""Answers know what they were asked of, and since when a passage that they cite is gone.

Revision ID: 0030
Revises: 0029
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0030"
down_revision = "0029"

UP = """
alter table answer
    add column asked jsonb default '{}' not null,
    add column stale_since timestamptz;

-- In the transaction that removes or replaces a passage, whoever does it: evidence has the index, and holds
-- whatever is cited.
create function answer_outdated() returns trigger language plpgsql as $$
begin
    update answer a set stale_since = clock_timestamp()
    from (
        select distinct b.id
        from removed r
        join answer b on b.evidence @> jsonb_build_array(jsonb_build_object('chunk_id', r.id::text))
        where b.stale_since is null
            and b.citations @> jsonb_build_array(jsonb_build_object('chunk_id', r.id::text))
    ) citing
    where a.id = citing.id;
    return null;
end $$;

create trigger chunk_cited after delete on chunk
    referencing old table as removed for each statement execute function answer_outdated();
"""

DOWN = """
drop trigger chunk_cited on chunk;
drop function answer_outdated();
alter table answer drop column asked, drop column stale_since;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
