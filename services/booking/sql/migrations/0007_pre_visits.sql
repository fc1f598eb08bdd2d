-- Who was seen at the desk, when and by whom: what a second check-in of the same booking is told.
CREATE TABLE check_in (
    booking_id  text PRIMARY KEY REFERENCES booking,
    at          timestamptz NOT NULL,
    by_account  text NOT NULL,
    how         text NOT NULL CHECK (how IN ('booking_id', 'number', 'ticket', 'offline')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Hours in which an office could not serve: nobody booked in them is blocked.
CREATE TABLE incident (
    incident_id text PRIMARY KEY,
    office_id   text NOT NULL REFERENCES office,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL CHECK (ends_at > starts_at),
    kind        text NOT NULL CHECK (kind IN ('outage', 'disaster', 'security', 'other')),
    reason      text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    declared_by text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When everybody it covers who was blocked before it was declared had been pardoned.
    settled_at  timestamptz
);

CREATE INDEX incident_of_office ON incident (office_id, ends_at);
CREATE INDEX incident_unsettled ON incident (declared_at) WHERE settled_at IS NULL;

-- An office's day, and its bookings. Unpaid bookings are in neither index, so recording pays for none.
CREATE INDEX slot_of_day ON slot (office_id, date);
CREATE INDEX booking_awaited ON booking (slot_id) WHERE state = 'confirmed';
CREATE INDEX booking_of_day ON booking (slot_id) WHERE ntpn IS NOT NULL;
