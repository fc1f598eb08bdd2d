-- Recording writes a booking with its seats and its people in one transaction, by COPY. What made each of
-- these rows dearer without protecting anything goes: foreign keys to the row written just before, indexes nobody reads.

-- Rows are found by what they claim, (slot, seat) or person, through the unique indexes that arbitrate.
ALTER TABLE booking_seat DROP CONSTRAINT booking_seat_booking_id_fkey, DROP CONSTRAINT booking_seat_pkey;
ALTER TABLE booking_person DROP CONSTRAINT booking_person_booking_id_fkey, DROP CONSTRAINT booking_person_pkey;

-- An account has few bookings: sorting them costs nothing, keeping three wide columns in order for everybody did.
CREATE INDEX booking_of_account ON booking (account_id);
DROP INDEX booking_account;

-- A trigger per row would make COPY write row by row. Version 1 is how a life begins; the trigger of steps sees the rest.
DROP TRIGGER booking_begins ON booking;
ALTER TABLE booking ADD CONSTRAINT booking_begins CHECK (version > 1 OR state IN ('held', 'displaced'));

-- The step a booking stands on is in its row; the table keeps those it has left behind.
DROP TRIGGER booking_begun ON booking;
DROP TRIGGER booking_stepped ON booking;
ALTER TABLE booking_history RENAME TO booking_step;
ALTER TABLE booking_step DROP CONSTRAINT booking_history_booking_id_fkey;
ALTER TABLE booking_step RENAME CONSTRAINT booking_history_pkey TO booking_step_pkey;
DELETE FROM booking_step AS s USING booking AS b WHERE (s.booking_id, s.version) = (b.booking_id, b.version);

CREATE VIEW booking_history AS
SELECT booking_id, version, state, at FROM booking_step
UNION ALL
SELECT booking_id, version, state, changed_at AS at FROM booking;

CREATE OR REPLACE FUNCTION booking_write_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO booking_step (booking_id, version, state, at)
    SELECT b.booking_id, b.version, b.state, b.changed_at
    FROM behind AS b
    JOIN ahead AS a USING (booking_id)
    WHERE a.version > b.version;
    RETURN NULL;
END $$;

CREATE TRIGGER booking_stepped AFTER UPDATE ON booking
    REFERENCING OLD TABLE AS behind NEW TABLE AS ahead FOR EACH STATEMENT EXECUTE FUNCTION booking_write_history();

CREATE OR REPLACE FUNCTION booking_refuse_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IS DISTINCT FROM OLD.state AND NOT booking_may_become(OLD.state, NEW.state) THEN
        RAISE EXCEPTION 'booking %: % cannot become %', OLD.booking_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    ELSIF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'booking %: version % cannot follow %', OLD.booking_id, NEW.version, OLD.version
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
