"""Matching: the desks' things by likeness, with vectors and BM25 statistics of each kind.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0013"
down_revision = "0012"

# The key is the subject's own id: unique over all kinds, since every id is a UUIDv7.
TABLES = """
create table matchable (
    id uuid not null constraint pk_matchable primary key,
    subject_type varchar not null,
    title varchar not null,
    body varchar not null,
    signatures text[] default '{}' not null,
    audience text[] not null,
    tsv tsvector not null,
    length integer not null,
    text_hash varchar not null,
    created_at timestamptz not null
);
-- Without fast updates: a list of pending entries is read by every search until some vacuum folds it in.
create index ix_matchable_tsv on matchable using gin (tsv) with (fastupdate = off);
create index ix_matchable_audience on matchable using gin (audience) with (fastupdate = off);
create index ix_matchable_signatures on matchable using gin (signatures) with (fastupdate = off)
    where signatures <> '{}';

create table matchable_embedding (
    matchable_id uuid not null
        constraint fk_matchable_embedding_matchable_id_matchable references matchable on delete cascade,
    model_id smallint not null
        constraint fk_matchable_embedding_model_id_embedding_model references embedding_model,
    subject_type varchar not null,
    audience text[] not null,
    text_hash varchar not null,
    embedding halfvec not null,
    constraint pk_matchable_embedding primary key (matchable_id, model_id)
) with (fillfactor = 90);  -- room for a changed audience on the same page: its vector is not indexed again
create index ix_matchable_embedding_subject_type_model_id on matchable_embedding (subject_type, model_id);
alter table matchable_embedding set (autovacuum_vacuum_scale_factor = 0.05);

create table matchable_pending (
    matchable_id uuid not null constraint pk_matchable_pending primary key
        constraint fk_matchable_pending_matchable_id_matchable references matchable on delete cascade,
    queued_at timestamptz default now() not null,
    claimed_at timestamptz
);
create index ix_matchable_pending_queued_at on matchable_pending (queued_at);
"""

# As for documents: exact in the transaction that changes a thing, and no writer waits for another one, since
# differences are appended by statement-level triggers, added up by readers, and folded in the background.
STATISTICS = """
create table matchable_lexeme (
    lexeme varchar collate "C" not null,
    subject_type varchar not null,
    df bigint not null,
    constraint pk_matchable_lexeme primary key (lexeme, subject_type)
);
create table matchable_lexeme_delta (
    id bigint generated always as identity constraint pk_matchable_lexeme_delta primary key,
    subject_type varchar not null,
    lexeme varchar collate "C" not null,
    df bigint not null
);
create index ix_matchable_lexeme_delta_lexeme on matchable_lexeme_delta (lexeme) include (subject_type, df);
create table matchable_corpus_delta (
    id bigint generated always as identity constraint pk_matchable_corpus_delta primary key,
    subject_type varchar not null,
    things bigint not null,
    length bigint not null
);

create function matchable_count_inserted() returns trigger language plpgsql as $$
begin
    insert into matchable_lexeme_delta (subject_type, lexeme, df)
        select m.subject_type, w.lexeme, count(*) from added m, unnest(m.tsv) w group by 1, 2;
    insert into matchable_corpus_delta (subject_type, things, length)
        select subject_type, count(*), sum(length) from added group by 1;
    return null;
end $$;

create function matchable_count_deleted() returns trigger language plpgsql as $$
begin
    insert into matchable_lexeme_delta (subject_type, lexeme, df)
        select m.subject_type, w.lexeme, -count(*) from removed m, unnest(m.tsv) w group by 1, 2;
    insert into matchable_corpus_delta (subject_type, things, length)
        select subject_type, -count(*), -sum(length) from removed group by 1;
    return null;
end $$;

create function matchable_count_updated() returns trigger language plpgsql as $$
begin
    insert into matchable_lexeme_delta (subject_type, lexeme, df)
        with changed as (
            -- A change of audience leaves the words alone: nothing to take apart.
            select a.subject_type, a.tsv as new, r.tsv as old from added a join removed r using (id)
            where a.tsv is distinct from r.tsv
        )
        select x.subject_type, x.lexeme, sum(x.sign) from (
            select c.subject_type, w.lexeme, 1 as sign from changed c, unnest(c.new) w
            union all
            select c.subject_type, w.lexeme, -1 from changed c, unnest(c.old) w
        ) x group by 1, 2 having sum(x.sign) <> 0;
    insert into matchable_corpus_delta (subject_type, things, length)
        select x.subject_type, 0, sum(x.length) from (
            select subject_type, length from added
            union all
            select subject_type, -length from removed
        ) x group by 1 having sum(x.length) <> 0;
    return null;
end $$;

create function matchable_count_truncated() returns trigger language plpgsql as $$
begin
    delete from matchable_lexeme;
    delete from matchable_lexeme_delta;
    delete from matchable_corpus_delta;
    return null;
end $$;

-- The updates' differences are counted by id and kind: neither ever changes.
create function matchable_keep_identity() returns trigger language plpgsql as $$
begin
    if (new.id, new.subject_type) is distinct from (old.id, old.subject_type) then
        raise exception 'a matchable keeps its id and its subject_type';
    end if;
    return new;
end $$;

create trigger matchable_inserted after insert on matchable
    referencing new table as added for each statement execute function matchable_count_inserted();
create trigger matchable_deleted after delete on matchable
    referencing old table as removed for each statement execute function matchable_count_deleted();
create trigger matchable_updated after update on matchable
    referencing old table as removed new table as added
    for each statement execute function matchable_count_updated();
create trigger matchable_truncated after truncate on matchable
    for each statement execute function matchable_count_truncated();
create trigger matchable_identity before update of id, subject_type on matchable
    for each row execute function matchable_keep_identity();
"""

DOWN = """
drop table matchable_corpus_delta, matchable_lexeme_delta, matchable_lexeme, matchable_pending,
    matchable_embedding, matchable;
drop function matchable_count_inserted(), matchable_count_deleted(), matchable_count_updated(),
    matchable_count_truncated(), matchable_keep_identity();
"""


def upgrade() -> None:
    run_script(op, TABLES + STATISTICS)


def downgrade() -> None:
    run_script(op, DOWN)
