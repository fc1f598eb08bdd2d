-- A booking's life. slot_id has no foreign key: places of a slot that was never planned here are recorded as
-- displaced, and a recording that fails would stop a whole partition.
CREATE TABLE booking (
    booking_id      text PRIMARY KEY,
    account_id      text NOT NULL,
    slot_id         text NOT NULL,
    -- Queue numbers and people in the same order, as they are told.
    seats           integer[] NOT NULL CHECK (cardinality(seats) BETWEEN 1 AND 5),
    person_ids      text[] NOT NULL CHECK (cardinality(person_ids) = cardinality(seats)),
    state           text NOT NULL,
    version         integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    pay_by          timestamptz NOT NULL,
    held_at         timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Which decision of quota this is.
    partition       integer NOT NULL,
    epoch           integer NOT NULL,
    seq             bigint NOT NULL,
    billing_code    text,
    virtual_account text,
    amount_rupiah   bigint CHECK (amount_rupiah >= 0),
    ntpn            text,
    paid_at         timestamptz,
    reason          text,
    CONSTRAINT booking_state CHECK (state IN (
        'held', 'awaiting_payment', 'confirmed', 'checked_in', 'served', 'incomplete',
        'expired', 'cancelled', 'rescheduled', 'no_show', 'displaced', 'paid_no_seat'
    )),
    CONSTRAINT booking_invoiced CHECK (
        state <> 'awaiting_payment' OR num_nulls(billing_code, virtual_account, amount_rupiah) = 0
    ),
    CONSTRAINT booking_paid CHECK (
        state NOT IN ('confirmed', 'checked_in', 'served', 'incomplete', 'no_show', 'paid_no_seat')
        OR num_nulls(ntpn, paid_at, amount_rupiah) = 0
    ),
    CONSTRAINT booking_reasoned CHECK (state NOT IN ('cancelled', 'displaced') OR reason IS NOT NULL)
);

CREATE INDEX booking_account ON booking (account_id, held_at DESC, booking_id DESC);
CREATE INDEX booking_unpaid ON booking (pay_by) WHERE state IN ('held', 'awaiting_payment');

-- Who has which queue number: an oversell is a refused row, never a second appointment.
CREATE TABLE booking_seat (
    booking_id text NOT NULL REFERENCES booking,
    slot_id    text NOT NULL,
    seat       integer NOT NULL CHECK (seat >= 1),
    active     boolean NOT NULL DEFAULT true,
    PRIMARY KEY (booking_id, seat)
);

CREATE UNIQUE INDEX booking_seat_taken ON booking_seat (slot_id, seat) WHERE active;

-- Who is busy: one active booking per person in the whole country.
CREATE TABLE booking_person (
    booking_id text NOT NULL REFERENCES booking,
    person_id  text NOT NULL,
    active     boolean NOT NULL DEFAULT true,
    PRIMARY KEY (booking_id, person_id)
);

CREATE UNIQUE INDEX booking_person_busy ON booking_person (person_id) WHERE active;

-- Every step of every life, written by the database itself, so that none can be forgotten.
CREATE TABLE booking_history (
    booking_id text NOT NULL REFERENCES booking,
    version    integer NOT NULL,
    state      text NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (booking_id, version)
);

-- How far quota's decisions are recorded. Moves in the transaction of what it recorded: the inbox of quota.events.
CREATE TABLE partition_watermark (
    partition integer NOT NULL,
    epoch     integer NOT NULL,
    seq       bigint NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (partition, epoch)
);

-- The same table of steps as domain/lifecycle.py; a test holds the two together.
CREATE FUNCTION booking_may_become(before text, after text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN (before, after) IN (
    ('held', 'awaiting_payment'), ('held', 'confirmed'), ('held', 'expired'), ('held', 'cancelled'),
    ('awaiting_payment', 'confirmed'), ('awaiting_payment', 'expired'), ('awaiting_payment', 'cancelled'),
    ('confirmed', 'checked_in'), ('confirmed', 'cancelled'), ('confirmed', 'rescheduled'), ('confirmed', 'no_show'),
    ('checked_in', 'served'), ('checked_in', 'incomplete'),
    ('expired', 'paid_no_seat'), ('cancelled', 'paid_no_seat'), ('displaced', 'paid_no_seat')
);

CREATE FUNCTION booking_refuse_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'a booking cannot begin as %', NEW.state USING ERRCODE = 'check_violation';
    ELSIF NEW.state IS DISTINCT FROM OLD.state AND NOT booking_may_become(OLD.state, NEW.state) THEN
        RAISE EXCEPTION 'booking %: % cannot become %', OLD.booking_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    ELSIF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'booking %: version % cannot follow %', OLD.booking_id, NEW.version, OLD.version
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER booking_begins BEFORE INSERT ON booking
    FOR EACH ROW WHEN (NEW.state NOT IN ('held', 'displaced')) EXECUTE FUNCTION booking_refuse_step();
CREATE TRIGGER booking_steps BEFORE UPDATE OF state, version ON booking
    FOR EACH ROW EXECUTE FUNCTION booking_refuse_step();

CREATE FUNCTION booking_write_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO booking_history (booking_id, version, state, at)
    SELECT booking_id, version, state, changed_at FROM changed
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER booking_begun AFTER INSERT ON booking
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION booking_write_history();
CREATE TRIGGER booking_stepped AFTER UPDATE ON booking
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION booking_write_history();
