"""The ledger: append-only by grants and by triggers, zero sum by a deferred constraint.

Revision ID: 0023
Revises: 0022
"""

from __future__ import annotations

from alembic import context, op

from app.migrations import run_script

revision = "0023"
down_revision = "0022"

UP = """
create table ledger_transaction (
    id uuid default uuidv7() not null,
    key varchar not null,
    kind varchar not null,
    subject_type varchar not null,
    subject_id uuid not null,
    account_id uuid,
    reverses_id uuid,
    effective_at timestamptz not null,
    recorded_at timestamptz default now() not null,
    constraint pk_ledger_transaction primary key (id),
    constraint uq_ledger_transaction_key unique (key),
    constraint uq_ledger_transaction_reverses_id unique (reverses_id),
    constraint fk_ledger_transaction_reverses_id_ledger_transaction
        foreign key (reverses_id) references ledger_transaction
);
create index ix_ledger_transaction_account_id_effective_at_id
    on ledger_transaction (account_id, effective_at, id);
create index ix_ledger_transaction_effective_at_id on ledger_transaction (effective_at, id);
create index ix_ledger_transaction_subject_type_subject_id
    on ledger_transaction (subject_type, subject_id);

create table ledger_entry (
    id bigint generated always as identity,
    transaction_id uuid not null,
    book varchar not null,
    account_id uuid,
    payment_id uuid,
    amount bigint not null,
    currency varchar not null,
    exponent smallint not null,
    constraint pk_ledger_entry primary key (id),
    constraint ck_ledger_entry_amount check (amount <> 0),
    constraint ck_ledger_entry_exponent check (exponent between 0 and 4),
    constraint fk_ledger_entry_transaction_id_ledger_transaction
        foreign key (transaction_id) references ledger_transaction
);
create index ix_ledger_entry_account_id_book on ledger_entry (account_id, book);
create index ix_ledger_entry_payment_id on ledger_entry (payment_id);
create index ix_ledger_entry_transaction_id on ledger_entry (transaction_id);

create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is only ever added to' using errcode = 'insufficient_privilege';
end $$;
create trigger ledger_transaction_append_only before update or delete on ledger_transaction
    for each row execute function refuse_ledger_change();
create trigger ledger_transaction_no_truncate before truncate on ledger_transaction
    execute function refuse_ledger_change();
create trigger ledger_entry_append_only before update or delete on ledger_entry
    for each row execute function refuse_ledger_change();
create trigger ledger_entry_no_truncate before truncate on ledger_entry
    execute function refuse_ledger_change();
-- Also where session_replication_role lets other triggers sleep.
alter table ledger_transaction enable always trigger ledger_transaction_append_only;
alter table ledger_transaction enable always trigger ledger_transaction_no_truncate;
alter table ledger_entry enable always trigger ledger_entry_append_only;
alter table ledger_entry enable always trigger ledger_entry_no_truncate;

-- When something was written is nobody's to say; the check of the entries relies on it.
create function stamp_ledger_transaction() returns trigger language plpgsql as $$
begin
    new.recorded_at := transaction_timestamp();
    return new;
end $$;
create trigger ledger_transaction_recorded before insert on ledger_transaction
    for each row execute function stamp_ledger_transaction();

-- Entries come with their transaction: none is slipped under a fact that was committed before.
create function check_ledger_entry() returns trigger language plpgsql as $$
begin
    if not exists (
        select from ledger_transaction
        where id = new.transaction_id and recorded_at = transaction_timestamp()
    ) then
        raise exception 'entries are posted with their transaction' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger ledger_entry_belongs before insert on ledger_entry
    for each row execute function check_ledger_entry();

-- Looked at when the transaction commits: entries of a posting are inserted one by one. Of entries too:
-- those that are added after somebody had the constraints checked early.
create function check_ledger_sum() returns trigger language plpgsql as $$
begin
    if exists (
        select from ledger_entry
        where transaction_id = new.transaction_id
        group by currency
        having sum(amount) <> 0 or min(exponent) <> max(exponent)
    ) then
        raise exception 'entries of a ledger transaction sum to zero a currency'
            using errcode = 'check_violation', constraint = 'ck_ledger_entry_zero_sum';
    end if;
    return null;
end $$;
create constraint trigger ledger_zero_sum after insert on ledger_entry
    deferrable initially deferred for each row execute function check_ledger_sum();

create function check_ledger_transaction() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger_entry where transaction_id = new.id) then
        raise exception 'a ledger transaction has entries'
            using errcode = 'check_violation', constraint = 'ck_ledger_transaction_entries';
    end if;
    if new.reverses_id is not null and (
        exists (select from ledger_transaction where id = new.reverses_id and reverses_id is not null)
        or exists (
            select from ledger_entry
            where transaction_id in (new.id, new.reverses_id)
            group by book, account_id, payment_id, currency
            having sum(amount) <> 0
        )
    ) then
        raise exception 'a reversal is the exact opposite of what it reverses'
            using errcode = 'check_violation', constraint = 'ck_ledger_transaction_reversal';
    end if;
    return null;
end $$;
create constraint trigger ledger_transaction_whole after insert on ledger_transaction
    deferrable initially deferred for each row execute function check_ledger_transaction();
"""

DOWN = """
drop table ledger_entry;
drop table ledger_transaction;
drop function refuse_ledger_change();
drop function stamp_ledger_transaction();
drop function check_ledger_entry();
drop function check_ledger_sum();
drop function check_ledger_transaction();
"""


def upgrade() -> None:
    bind = op.get_bind()
    quote = bind.dialect.identifier_preparer.quote
    role = context.config.attributes.get("app_role")
    run_script(op, UP)
    if role and role != bind.exec_driver_sql("select current_user").scalar():
        for table in ("ledger_transaction", "ledger_entry"):
            op.execute(f"revoke update, delete, truncate on {table} from {quote(role)}")


def downgrade() -> None:
    run_script(op, DOWN)
