-- The immigration offices, as the seed describes them.
CREATE TABLE office (
    office_id    text PRIMARY KEY CHECK (office_id ~ '^[a-z0-9-]{1,64}$'),
    name         text NOT NULL,
    office_class text NOT NULL,
    city         text NOT NULL,
    province     text NOT NULL,
    -- IANA name: every clock time of an office is local.
    timezone     text NOT NULL,
    daily_quota  integer NOT NULL CHECK (daily_quota BETWEEN 1 AND 100000),
    quota_basis  text NOT NULL
);

-- Days on which no office serves.
CREATE TABLE holiday (
    day  date PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL
);

-- Sessions, shares and the window policy as one document (domain/calendar.py knows its shape).
CREATE TABLE calendar (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    body     jsonb NOT NULL
);

-- When places of which days may be taken. Without office and zone a window is for the whole nation.
CREATE TABLE service_window (
    window_id   text PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('policy', 'opened')),
    office_id   text REFERENCES office,
    timezone    text,
    first_day   date NOT NULL,
    last_day    date NOT NULL CHECK (last_day >= first_day),
    opens_at    timestamptz NOT NULL,
    closes_at   timestamptz NOT NULL CHECK (closes_at > opens_at),
    pay_seconds integer NOT NULL CHECK (pay_seconds > 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- Slots as planned: everything an event about them says, so that telling one needs no other table.
CREATE TABLE slot (
    slot_id        text PRIMARY KEY,
    version        integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    office_id      text NOT NULL REFERENCES office,
    office_name    text NOT NULL,
    city           text NOT NULL,
    province       text NOT NULL,
    timezone       text NOT NULL,
    date           date NOT NULL,
    session        text NOT NULL,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL CHECK (ends_at > starts_at),
    service        text NOT NULL,
    channel        text NOT NULL,
    capacity       integer NOT NULL CHECK (capacity BETWEEN 1 AND 100000),
    window_id      text NOT NULL REFERENCES service_window,
    -- False once somebody opened a window of its own for it: planning again leaves that window alone.
    follows_policy boolean NOT NULL DEFAULT true,
    opens_at       timestamptz NOT NULL,
    closes_at      timestamptz NOT NULL CHECK (closes_at > opens_at),
    next_opens_at  timestamptz,
    pay_seconds    integer NOT NULL CHECK (pay_seconds > 0),
    closed         boolean NOT NULL DEFAULT false
);

CREATE INDEX slot_date ON slot (date);
CREATE INDEX slot_office_window ON slot (closes_at, office_id, opens_at) WHERE NOT closed;
