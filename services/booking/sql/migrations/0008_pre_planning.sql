-- The seed's calendar says which kind of window policy it has.
UPDATE calendar SET body = jsonb_set(body, '{window,kind}', '"weekly"') WHERE body -> 'window' -> 'kind' IS NULL;

-- Calendars in force for visits from a day on: an office's own, or (without office) the nation's. Before: the seed's.
CREATE TABLE calendar_edition (
    edition_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    office_id      text REFERENCES office,
    effective_from date NOT NULL,
    body           jsonb NOT NULL,
    put_by         text NOT NULL,
    put_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE UNIQUE INDEX calendar_edition_of ON calendar_edition (coalesce(office_id, ''), effective_from);

-- Days on which an office, against its calendar, does not serve.
CREATE TABLE closure (
    office_id text REFERENCES office,
    day       date NOT NULL,
    closed_by text NOT NULL,
    reason    text NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (office_id, day)
);

CREATE INDEX closure_day ON closure (day);

ALTER TABLE slot
    -- Somebody, or the spill-over, has set its places: planning again leaves them alone.
    ADD COLUMN capacity_fixed boolean NOT NULL DEFAULT false,
    -- Somebody has closed it: planning again does not open it.
    ADD COLUMN closed_by_hand boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT slot_capacity_check,
    -- Nothing left to have is a plan too.
    ADD CONSTRAINT slot_capacity_check CHECK (capacity BETWEEN 0 AND 100000);

-- When an office's plan is to be looked at again. Whoever publishes holds the row.
CREATE TABLE publication (
    office_id text PRIMARY KEY REFERENCES office,
    look_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX publication_due ON publication (look_at);

-- Unused places of one slot on their way to another: shrunk at once, added there when quota has said how many were in use.
CREATE TABLE spill_over (
    slot_id      text PRIMARY KEY REFERENCES slot,
    target_id    text NOT NULL REFERENCES slot,
    places       integer NOT NULL CHECK (places >= 0),
    kept         integer NOT NULL CHECK (kept BETWEEN 0 AND places),
    -- The plan of the slot that shrank it, and how many places were in use when quota applied it.
    version      integer NOT NULL,
    in_use       integer,
    open_minutes integer NOT NULL,
    -- When quota was told; told again after a while without an answer.
    asked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    moved        integer CHECK (moved >= 0),
    moved_at     timestamptz CHECK ((moved IS NULL) = (moved_at IS NULL))
);

CREATE INDEX spill_over_open ON spill_over (asked_at) WHERE moved_at IS NULL;
