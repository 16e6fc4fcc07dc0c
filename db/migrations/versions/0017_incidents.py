"""Technical: updates of known issues to their tickets; ratings.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0017"
down_revision = "0016"

UP = """
create table issue_update (
    id uuid default uuidv7() not null constraint pk_issue_update primary key,
    issue_id uuid not null constraint fk_issue_update_issue_id_known_issue references known_issue,
    author_person_id uuid constraint fk_issue_update_author_person_id_person references person
        on delete set null,
    body text not null,
    kind varchar not null,
    status varchar not null,
    solve boolean not null,
    created_at timestamptz default now() not null,
    constraint ck_issue_update_kind check (kind in ('public', 'note'))
);
create index ix_issue_update_issue_id_created_at_id on issue_update (issue_id, created_at, id);

create table issue_delivery (
    update_id uuid not null
        constraint fk_issue_delivery_update_id_issue_update references issue_update on delete cascade,
    ticket_id uuid not null
        constraint fk_issue_delivery_ticket_id_ticket references ticket on delete cascade,
    state varchar default 'queued' not null,
    reason varchar,
    constraint pk_issue_delivery primary key (update_id, ticket_id),
    constraint ck_issue_delivery_state check (state in ('queued', 'delivered', 'skipped'))
);
create index ix_issue_delivery_ticket_id on issue_delivery (ticket_id);
create index ix_issue_delivery_queued on issue_delivery (update_id, ticket_id) where state = 'queued';

create table ticket_rating (
    ticket_id uuid not null constraint pk_ticket_rating primary key
        constraint fk_ticket_rating_ticket_id_ticket references ticket on delete cascade,
    person_id uuid constraint fk_ticket_rating_person_id_person references person on delete set null,
    score smallint not null,
    comment text,
    solved_at timestamptz not null,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint ck_ticket_rating_score check (score between 1 and 5)
);
create index ix_ticket_rating_person_id on ticket_rating (person_id);
"""

DOWN = """
drop table ticket_rating, issue_delivery, issue_update;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
