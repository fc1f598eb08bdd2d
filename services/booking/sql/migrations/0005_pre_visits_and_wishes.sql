-- The rest of a booking's life: moved, visited, missed.
ALTER TABLE booking
    ADD COLUMN moved_to text,
    ADD COLUMN pick_up_on date,
    ADD COLUMN blocked_until timestamptz,
    ADD COLUMN pardoned_at timestamptz,
    DROP CONSTRAINT booking_state,
    DROP CONSTRAINT booking_paid,
    DROP CONSTRAINT booking_reasoned,
    ADD CONSTRAINT booking_state CHECK (state IN (
        'held', 'awaiting_payment', 'confirmed', 'checked_in', 'served', 'incomplete',
        'expired', 'cancelled', 'rescheduled', 'no_show', 'displaced', 'paid_no_seat',
        'processing', 'ready', 'collected'
    )),
    ADD CONSTRAINT booking_paid CHECK (
        state NOT IN (
            'confirmed', 'checked_in', 'served', 'incomplete', 'no_show', 'paid_no_seat', 'processing', 'ready',
            'collected'
        )
        OR num_nulls(ntpn, paid_at, amount_rupiah) = 0
    ),
    ADD CONSTRAINT booking_reasoned CHECK (
        state NOT IN ('cancelled', 'displaced', 'rescheduled', 'incomplete') OR reason IS NOT NULL
    ),
    ADD CONSTRAINT booking_moved CHECK (state <> 'rescheduled' OR moved_to IS NOT NULL),
    ADD CONSTRAINT booking_picked_up CHECK (state NOT IN ('ready', 'collected') OR pick_up_on IS NOT NULL),
    ADD CONSTRAINT booking_blocked CHECK (state <> 'no_show' OR blocked_until IS NOT NULL);

-- The same table of steps as domain/lifecycle.py; a test holds the two together.
CREATE OR REPLACE FUNCTION booking_may_become(before text, after text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN (before, after) IN (
    ('held', 'awaiting_payment'), ('held', 'confirmed'), ('held', 'expired'), ('held', 'cancelled'),
    ('awaiting_payment', 'confirmed'), ('awaiting_payment', 'expired'), ('awaiting_payment', 'cancelled'),
    ('confirmed', 'checked_in'), ('confirmed', 'cancelled'), ('confirmed', 'rescheduled'), ('confirmed', 'no_show'),
    ('checked_in', 'served'), ('checked_in', 'incomplete'),
    ('served', 'processing'), ('processing', 'ready'), ('ready', 'collected'),
    ('expired', 'paid_no_seat'), ('cancelled', 'paid_no_seat'), ('displaced', 'paid_no_seat'),
    ('expired', 'rescheduled'), ('cancelled', 'rescheduled'), ('displaced', 'rescheduled'),
    ('no_show', 'rescheduled'), ('paid_no_seat', 'rescheduled')
);

-- Places booking has asked quota for, by the id the booking will have: a move, or an office's own places.
CREATE TABLE wish (
    booking_id text PRIMARY KEY,
    why        text NOT NULL CHECK (why IN (
        'reschedule', 'rebook', 'reseat', 'waitlist', 'walk_in', 'priority', 'assisted'
    )),
    account_id text NOT NULL,
    person_ids text[] NOT NULL CHECK (cardinality(person_ids) BETWEEN 1 AND 5),
    slot_ids   text[] NOT NULL CHECK (cardinality(slot_ids) BETWEEN 1 AND 50),
    seats      integer[] NOT NULL DEFAULT '{}',
    -- The booking that is moved, if one is.
    replaces   text REFERENCES booking,
    -- Who asked: an account, or the room itself.
    actor      text NOT NULL,
    reason     text NOT NULL,
    pay_by     timestamptz NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    good_until timestamptz NOT NULL,
    state      text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'held', 'refused')),
    -- Why quota refused.
    refusal    text CHECK (state <> 'refused' OR refusal IS NOT NULL),
    settled_at timestamptz CHECK ((state = 'asked') = (settled_at IS NULL))
);

-- A booking is moved to one place at a time.
CREATE UNIQUE INDEX wish_of_booking ON wish (replaces) WHERE state = 'asked';
CREATE INDEX wish_unsettled ON wish (good_until) WHERE state = 'asked';

-- What staff did, and why. Nobody changes or removes a line: the trigger refuses, whoever asks.
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
