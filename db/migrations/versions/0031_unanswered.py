"""Questions that were not answered, or not well, by what they ask for.

Revision ID: 0031
Revises: 0030
"""

from __future__ import annotations

from alembic import op

from app.migrations import run_script

revision = "0031"
down_revision = "0030"

UP = """
create table question_cluster (
    id uuid default uuidv7() not null,
    status varchar default 'open' not null,
    document_id uuid,
    closed_by uuid,
    closed_at timestamptz,
    version integer default 1 not null,
    created_at timestamptz default now() not null,
    constraint pk_question_cluster primary key (id),
    constraint ck_question_cluster_status check (status in ('open', 'closed')),
    constraint ck_question_cluster_closed check ((status = 'closed') = (closed_at is not null)),
    constraint fk_question_cluster_document_id_document
        foreign key (document_id) references document on delete set null,
    constraint fk_question_cluster_closed_by_person
        foreign key (closed_by) references person on delete set null
);
create index ix_question_cluster_created_at_id on question_cluster (created_at, id);
create index ix_question_cluster_document_id on question_cluster (document_id);

create table unanswered_question (
    answer_id uuid not null,
    cluster_id uuid not null,
    reason varchar not null,
    model_id smallint not null,
    embedding halfvec not null,
    created_at timestamptz default now() not null,
    constraint pk_unanswered_question primary key (answer_id),
    constraint ck_unanswered_question_reason check (reason in ('abstained', 'disliked')),
    constraint fk_unanswered_question_answer_id_answer
        foreign key (answer_id) references answer on delete cascade,
    constraint fk_unanswered_question_cluster_id_question_cluster
        foreign key (cluster_id) references question_cluster on delete cascade,
    constraint fk_unanswered_question_model_id_embedding_model
        foreign key (model_id) references embedding_model
);
create index ix_unanswered_question_cluster_id_created_at on unanswered_question (cluster_id, created_at);
"""

DOWN = """
drop table unanswered_question;
drop table question_cluster;
"""


def upgrade() -> None:
    run_script(op, UP)


def downgrade() -> None:
    run_script(op, DOWN)
