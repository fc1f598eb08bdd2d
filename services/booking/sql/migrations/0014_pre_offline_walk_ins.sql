-- People who came without a booking while a desk had no network, as it noted them. They were there: a line is never
-- changed by what becomes of it, and never removed. What became of it stands in wish, booking and check_in.
CREATE TABLE offline_walk_in (
    office_id   text NOT NULL REFERENCES office,
    -- Chosen at the desk, so that noting it again is the same.
    entry_id    text NOT NULL CHECK (entry_id ~ '^[A-Za-z0-9_-]{8,64}$'),
    day         date NOT NULL,
    service     text NOT NULL,
    persons     integer NOT NULL CHECK (persons BETWEEN 1 AND 5),
    -- Queue numbers the desk handed out, if it did.
    numbers     integer[] NOT NULL DEFAULT '{}' CHECK (cardinality(numbers) IN (0, persons)),
    at          timestamptz NOT NULL,
    by_account  text NOT NULL,
    served      boolean NOT NULL,
    uploaded_by text NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How often places were asked for, and the latest wish; none where the day had no such places.
    attempts    integer NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 10),
    booking_id  text UNIQUE REFERENCES wish,
    CONSTRAINT offline_walk_in_asked CHECK ((attempts = 0) = (booking_id IS NULL)),
    PRIMARY KEY (office_id, entry_id)
);

CREATE INDEX offline_walk_in_of_day ON offline_walk_in (office_id, day, at);
