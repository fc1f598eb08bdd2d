-- Who is awaited where and when, as booking's events tell it: ids alone, so that names can be read where they lie.
-- A visit that ended keeps its row until its day is over, without its people: an older event may still arrive.
CREATE TABLE visit (
    booking_id text PRIMARY KEY,
    version    integer NOT NULL,
    office_id  text NOT NULL,
    date       date NOT NULL,
    session    text NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    service    text NOT NULL,
    channel    text NOT NULL,
    state      text NOT NULL,
    seats      integer[] NOT NULL,
    person_ids text[] NOT NULL,
    CHECK (cardinality(seats) = cardinality(person_ids)),
    CHECK (state NOT IN ('cancelled', 'rescheduled') OR cardinality(person_ids) = 0)
);

CREATE INDEX visit_of_day ON visit (office_id, date);
CREATE INDEX visit_date ON visit (date);

-- Offices that somebody was awaited at, for their clocks. Kept when their visits are forgotten.
CREATE TABLE office (
    office_id  text PRIMARY KEY,
    name       text NOT NULL,
    timezone   text NOT NULL,
    told_at_ms bigint NOT NULL
);

-- Who read whose names, and when. Nobody changes or removes a line: the trigger refuses, whoever asks.
CREATE TABLE audit_entry (
    entry_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor     text NOT NULL,
    action    text NOT NULL,
    subject   text NOT NULL,
    office_id text,
    reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    details   jsonb NOT NULL DEFAULT '{}'
);

CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON audit_entry FROM PUBLIC, CURRENT_USER;
