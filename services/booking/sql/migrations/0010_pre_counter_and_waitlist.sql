-- Bookings officers ask for at the counter: which day of which office they count for. What became of each stands in wish and booking.
CREATE TABLE counter_seating (
    booking_id text PRIMARY KEY REFERENCES wish,
    office_id  text NOT NULL REFERENCES office,
    day        date NOT NULL,
    why        text NOT NULL CHECK (why IN ('walk_in', 'priority', 'assisted')),
    ground     text CHECK (ground IN ('elderly', 'child', 'pregnant', 'disabled')),
    persons    integer NOT NULL CHECK (persons BETWEEN 1 AND 5),
    CONSTRAINT counter_grounded CHECK ((why = 'priority') = (ground IS NOT NULL))
);

CREATE INDEX counter_seating_of_day ON counter_seating (office_id, day, why);

-- Who waits for places that come back, of an office and a service, in order of place.
CREATE TABLE waitlist_entry (
    entry_id   text PRIMARY KEY,
    place      bigint GENERATED ALWAYS AS IDENTITY,
    account_id text NOT NULL,
    office_id  text NOT NULL REFERENCES office,
    service    text NOT NULL,
    first_day  date NOT NULL,
    last_day   date NOT NULL CHECK (last_day >= first_day),
    person_ids text[] NOT NULL CHECK (cardinality(person_ids) BETWEEN 1 AND 5),
    joined_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN (
        'waiting', 'offered', 'taken', 'passed', 'left', 'over'
    )),
    -- Every offer is a wish of its own, numbered.
    attempts   integer NOT NULL DEFAULT 0,
    -- The booking the last offer is, or becomes.
    booking_id text,
    -- Null while anything about it can still change, also of one who left while an offer was under way.
    ended_at   timestamptz,
    CONSTRAINT waitlist_offered CHECK (state <> 'offered' OR booking_id IS NOT NULL),
    CONSTRAINT waitlist_live CHECK (state NOT IN ('waiting', 'offered') OR ended_at IS NULL)
);

CREATE UNIQUE INDEX waitlist_of_account_live ON waitlist_entry (account_id) WHERE state IN ('waiting', 'offered');
CREATE INDEX waitlist_of_account ON waitlist_entry (account_id, place);
CREATE INDEX waitlist_line ON waitlist_entry (office_id, service, place) WHERE state = 'waiting';
CREATE INDEX waitlist_offers ON waitlist_entry (booking_id) WHERE ended_at IS NULL AND booking_id IS NOT NULL;
CREATE INDEX waitlist_over ON waitlist_entry (last_day) WHERE state = 'waiting';

-- A person waits in one line at a time, whoever's account it is.
CREATE TABLE waitlist_person (
    person_id text PRIMARY KEY,
    entry_id  text NOT NULL REFERENCES waitlist_entry
);

CREATE INDEX waitlist_person_of_entry ON waitlist_person (entry_id);
