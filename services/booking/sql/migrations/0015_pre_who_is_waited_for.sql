-- Who has to pay until when, and who is awaited at an office, are rows of tables of their own: no index of booking speaks
-- of its state, so a step is written beside the row it changes and into no index. Half of each page is kept free for it.
DROP INDEX booking_unpaid, booking_awaited, booking_money_without_places;
ALTER TABLE booking SET (fillfactor = 50);
CREATE INDEX booking_pay_by ON booking (pay_by);
CREATE INDEX booking_money_without_places ON booking (unseated_at) WHERE unseated_at IS NOT NULL;

CREATE TABLE booking_unpaid (
    pay_by     timestamptz NOT NULL,
    booking_id text NOT NULL,
    PRIMARY KEY (pay_by, booking_id)
);

CREATE TABLE booking_awaited (
    slot_id    text NOT NULL,
    booking_id text NOT NULL,
    PRIMARY KEY (slot_id, booking_id)
);

INSERT INTO booking_unpaid SELECT pay_by, booking_id FROM booking WHERE state IN ('held', 'awaiting_payment');
INSERT INTO booking_awaited SELECT slot_id, booking_id FROM booking WHERE state = 'confirmed';

CREATE FUNCTION booking_begin_waiting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO booking_unpaid (pay_by, booking_id)
    SELECT pay_by, booking_id FROM added WHERE state IN ('held', 'awaiting_payment')
    ORDER BY pay_by, booking_id;
    INSERT INTO booking_awaited (slot_id, booking_id) SELECT slot_id, booking_id FROM added WHERE state = 'confirmed';
    RETURN NULL;
END $$;

-- The states named are those a step can lead to from the ones waited in. Row by row, however many the planner expects.
CREATE FUNCTION booking_wait_on() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    DELETE FROM booking_unpaid AS u USING ahead AS a
    WHERE a.state IN ('confirmed', 'expired', 'cancelled') AND (u.pay_by, u.booking_id) = (a.pay_by, a.booking_id);
    DELETE FROM booking_awaited AS w USING ahead AS a
    WHERE a.state IN ('checked_in', 'cancelled', 'rescheduled', 'no_show')
        AND (w.slot_id, w.booking_id) = (a.slot_id, a.booking_id);
    INSERT INTO booking_awaited (slot_id, booking_id)
    SELECT slot_id, booking_id FROM ahead WHERE state = 'confirmed'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

-- A statement's steps are judged, and kept, all at once when it has ended: a trigger before every row would read and
-- lock each of them once more.
DROP TRIGGER booking_steps ON booking;
DROP FUNCTION booking_refuse_step();

CREATE FUNCTION booking_refuse_step(id text, before text, after text, old integer, new integer) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF before <> after AND NOT booking_may_become(before, after) THEN
        RAISE EXCEPTION 'booking %: % cannot become %', id, before, after USING ERRCODE = 'check_violation';
    END IF;
    RAISE EXCEPTION 'booking %: version % cannot follow %', id, new, old USING ERRCODE = 'check_violation';
END $$;

CREATE OR REPLACE FUNCTION booking_write_history() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off SET enable_hashjoin = on AS $$
BEGIN
    INSERT INTO booking_step (booking_id, version, state, at)
    SELECT b.booking_id, b.version,
        CASE WHEN a.version = b.version + 1 AND (a.state = b.state OR booking_may_become(b.state, a.state)) THEN b.state
            ELSE booking_refuse_step(b.booking_id, b.state, a.state, b.version, a.version)
        END,
        b.changed_at
    FROM behind AS b
    JOIN ahead AS a USING (booking_id)
    WHERE (a.state, a.version) <> (b.state, b.version);
    RETURN NULL;
END $$;

-- Nothing here moves a deadline; a hand that does is followed.
CREATE FUNCTION booking_move_deadline() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE booking_unpaid SET pay_by = NEW.pay_by WHERE (pay_by, booking_id) = (OLD.pay_by, OLD.booking_id);
    RETURN NULL;
END $$;

CREATE TRIGGER booking_begins_waiting AFTER INSERT ON booking
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION booking_begin_waiting();
CREATE TRIGGER booking_waits_on AFTER UPDATE ON booking
    REFERENCING NEW TABLE AS ahead FOR EACH STATEMENT EXECUTE FUNCTION booking_wait_on();
CREATE TRIGGER booking_moves_deadline AFTER UPDATE OF pay_by ON booking
    FOR EACH ROW WHEN (NEW.pay_by <> OLD.pay_by) EXECUTE FUNCTION booking_move_deadline();
