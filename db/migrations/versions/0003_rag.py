"""Rag: collections, documents with versions, chunks, vectors, BM25 statistics, chats and answers.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0003"
down_revision = "0002"

# unaccent() is only STABLE, so it cannot stand in an index expression; as a dictionary of a text search
# configuration it can.
TEXT_SEARCH = """
create text search configuration tridesk (copy = pg_catalog.english);
alter text search configuration tridesk
    alter mapping for hword, hword_part, word with public.unaccent, english_stem;
alter text search configuration tridesk
    alter mapping for asciiword, asciihword, hword_asciipart with english_stem;
"""

TABLES = """
create table collection (
    id uuid default uuidv7() not null constraint pk_collection primary key,
    name varchar not null constraint uq_collection_name unique,
    description varchar default '' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null
);
create index ix_collection_created_at_id on collection (created_at, id);

create table document (
    id uuid default uuidv7() not null constraint pk_document primary key,
    collection_id uuid not null constraint fk_document_collection_id_collection references collection,
    title varchar not null,
    declared_title varchar,
    source varchar,
    filename varchar,
    media_type varchar not null,
    audience text[] not null,
    language varchar,
    product varchar,
    product_version varchar,
    valid_from timestamptz,
    valid_until timestamptz,
    status varchar default 'queued' not null,
    progress double precision default 0 not null,
    error_code varchar,
    error_detail varchar,
    latest_version integer default 1 not null,
    served_version integer,
    content_hash varchar not null,
    created_by uuid constraint fk_document_created_by_person references person on delete set null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint uq_document_collection_id_source unique (collection_id, source),
    constraint ck_document_status check (status in ('queued', 'running', 'ready', 'failed')),
    constraint ck_document_validity check (valid_from < valid_until)
);
create index ix_document_created_at_id on document (created_at, id);
create index ix_document_collection_id_created_at_id on document (collection_id, created_at, id);
create index ix_document_unfinished on document (status) where status in ('queued', 'running');

create table document_version (
    document_id uuid not null
        constraint fk_document_version_document_id_document references document on delete cascade,
    number integer not null,
    content bytea not null,
    content_hash varchar not null,
    audience text[] not null,
    text varchar,
    pages integer,
    chunks_embedded integer,
    chunks_kept integer,
    chunks_removed integer,
    created_at timestamptz default now() not null,
    constraint pk_document_version primary key (document_id, number)
);

create table embedding_model (
    id smallint generated always as identity constraint pk_embedding_model primary key,
    name varchar not null constraint uq_embedding_model_name unique,
    dimensions integer not null,
    created_at timestamptz default now() not null
);

create table chunk (
    id uuid default uuidv7() not null constraint pk_chunk primary key,
    document_id uuid not null constraint fk_chunk_document_id_document references document on delete cascade,
    version integer not null,
    collection_id uuid not null,
    ordinal integer not null,
    heading_path text[] not null,
    header varchar not null,
    text varchar not null,
    span_start integer not null,
    span_end integer not null,
    hash varchar not null,
    tokens integer not null,
    tsv tsvector not null,
    length integer not null,
    audience text[] not null,
    valid_from timestamptz,
    valid_until timestamptz
);
create index ix_chunk_document_id on chunk (document_id);
-- Without fast updates: a list of pending entries is read by every search until some vacuum folds it in.
create index ix_chunk_tsv on chunk using gin (tsv) with (fastupdate = off);

create table chunk_embedding (
    chunk_id uuid not null constraint fk_chunk_embedding_chunk_id_chunk references chunk on delete cascade,
    model_id smallint not null
        constraint fk_chunk_embedding_model_id_embedding_model references embedding_model,
    collection_id uuid not null,
    audience text[] not null,
    valid_from timestamptz,
    valid_until timestamptz,
    embedding halfvec not null,
    constraint pk_chunk_embedding primary key (chunk_id, model_id)
);
-- The default of 50 % dead rows is far too late for an index that visits them.
alter table chunk_embedding set (autovacuum_vacuum_scale_factor = 0.05);

create table chat (
    id uuid default uuidv7() not null constraint pk_chat primary key,
    person_id uuid constraint fk_chat_person_id_person references person on delete cascade,
    key_id uuid,
    title varchar,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null
);
create index ix_chat_created_at_id on chat (created_at, id);
create index ix_chat_person_id_created_at_id on chat (person_id, created_at, id);

create table answer (
    id uuid default uuidv7() not null constraint pk_answer primary key,
    chat_id uuid constraint fk_answer_chat_id_chat references chat on delete cascade,
    person_id uuid constraint fk_answer_person_id_person references person on delete cascade,
    key_id uuid,
    question varchar not null,
    standalone_question varchar not null,
    outcome varchar not null,
    reason varchar,
    text varchar not null,
    citations jsonb not null,
    evidence jsonb not null,
    confidence double precision not null,
    model varchar not null,
    extractive boolean not null,
    prompt_hash varchar,
    created_at timestamptz default now() not null,
    constraint ck_answer_outcome check (outcome in ('answered', 'caveat', 'abstained'))
);
create index ix_answer_chat_id_created_at_id on answer (chat_id, created_at, id);
create index ix_answer_created_at_id on answer (created_at, id);

create table feedback (
    id uuid default uuidv7() not null constraint pk_feedback primary key,
    answer_id uuid not null constraint fk_feedback_answer_id_answer references answer on delete cascade,
    rater uuid,
    rating varchar not null,
    comment varchar,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint uq_feedback_answer_id_rater unique nulls not distinct (answer_id, rater),
    constraint ck_feedback_rating check (rating in ('up', 'down'))
);
"""

# BM25 needs the number of chunks, their mean length and each lexeme's document frequency, exact in the
# transaction that changes a chunk and without writers waiting for each other: statement-level triggers
# append the differences, readers add them up, and a worker folds them now and then.
STATISTICS = """
create table lexeme_statistic (
    lexeme varchar not null constraint pk_lexeme_statistic primary key,
    df bigint not null
);
create table lexeme_delta (
    id bigint generated always as identity constraint pk_lexeme_delta primary key,
    lexeme varchar not null,
    df bigint not null
);
create index ix_lexeme_delta_lexeme on lexeme_delta (lexeme) include (df);
create table corpus_delta (
    id bigint generated always as identity constraint pk_corpus_delta primary key,
    chunks bigint not null,
    length bigint not null
);

create function chunk_count_inserted() returns trigger language plpgsql as $$
begin
    insert into lexeme_delta (lexeme, df)
        select w.lexeme, count(*) from added c, unnest(c.tsv) w group by w.lexeme;
    insert into corpus_delta (chunks, length)
        select count(*), sum(c.length) from added c having count(*) > 0;
    return null;
end $$;

create function chunk_count_deleted() returns trigger language plpgsql as $$
begin
    insert into lexeme_delta (lexeme, df)
        select w.lexeme, -count(*) from removed c, unnest(c.tsv) w group by w.lexeme;
    insert into corpus_delta (chunks, length)
        select -count(*), -sum(c.length) from removed c having count(*) > 0;
    return null;
end $$;

create function chunk_count_updated() returns trigger language plpgsql as $$
begin
    insert into lexeme_delta (lexeme, df)
        with changed as (
            -- Most updates move a chunk or its audience and leave its words alone: nothing to take apart.
            select a.tsv as new, r.tsv as old from added a full join removed r on r.id = a.id
            where a.tsv is distinct from r.tsv
        )
        select x.lexeme, sum(x.sign) from (
            select w.lexeme, 1 as sign from changed c, unnest(c.new) w
            union all
            select w.lexeme, -1 from changed c, unnest(c.old) w
        ) x group by x.lexeme having sum(x.sign) <> 0;
    insert into corpus_delta (chunks, length)
        select 0, d.length from (
            select coalesce((select sum(length) from added), 0)
                - coalesce((select sum(length) from removed), 0)
        ) d (length) where d.length <> 0;
    return null;
end $$;

create function chunk_count_truncated() returns trigger language plpgsql as $$
begin
    delete from lexeme_statistic;
    delete from lexeme_delta;
    delete from corpus_delta;
    return null;
end $$;

create trigger chunk_inserted after insert on chunk
    referencing new table as added for each statement execute function chunk_count_inserted();
create trigger chunk_deleted after delete on chunk
    referencing old table as removed for each statement execute function chunk_count_deleted();
create trigger chunk_updated after update on chunk
    referencing old table as removed new table as added
    for each statement execute function chunk_count_updated();
create trigger chunk_truncated after truncate on chunk
    for each statement execute function chunk_count_truncated();
"""

DOWN = """
drop table feedback, answer, chat, corpus_delta, lexeme_delta, lexeme_statistic, chunk_embedding, chunk,
    embedding_model, document_version, document, collection;
drop function chunk_count_inserted(), chunk_count_deleted(), chunk_count_updated(), chunk_count_truncated();
drop text search configuration tridesk;
"""


def upgrade() -> None:
    run_script(op, TEXT_SEARCH + TABLES + STATISTICS)


def downgrade() -> None:
    run_script(op, DOWN)
