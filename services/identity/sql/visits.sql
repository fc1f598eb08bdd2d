-- keep_visits --
-- Visits as they are told now; what is known in a newer version stays. $1 booking_ids, $2 versions, $3 office_ids, $4 dates, $5 sessions, $6 starts_at, $7 ends_at, $8 services, $9 channels, $10 states, $11 seats joined by commas, $12 person_ids joined by commas (arrays of one length)
INSERT INTO visit AS v
    (booking_id, version, office_id, date, session, starts_at, ends_at, service, channel, state, seats, person_ids)
SELECT
    n.booking_id, n.version, n.office_id, n.date, n.session, n.starts_at, n.ends_at, n.service, n.channel, n.state,
    string_to_array(n.seats, ',')::integer[], string_to_array(n.person_ids, ',')
FROM unnest(
    $1::text[], $2::integer[], $3::text[], $4::date[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[]
) AS n (booking_id, version, office_id, date, session, starts_at, ends_at, service, channel, state, seats, person_ids)
ON CONFLICT (booking_id) DO UPDATE SET
    version = excluded.version, office_id = excluded.office_id, date = excluded.date, session = excluded.session,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, service = excluded.service, channel = excluded.channel,
    state = excluded.state, seats = excluded.seats, person_ids = excluded.person_ids
WHERE v.version < excluded.version;

-- keep_offices --
-- Offices as they are told now; those that say nothing new are not touched, and so not waited for. $1 office_ids, $2 names, $3 timezones, $4 told_at_ms (arrays of one length)
INSERT INTO office AS o (office_id, name, timezone, told_at_ms)
SELECT n.office_id, n.name, n.timezone, n.told_at_ms
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS n (office_id, name, timezone, told_at_ms)
WHERE NOT EXISTS (
    SELECT 1 FROM office AS k
    WHERE k.office_id = n.office_id AND k.name = n.name AND k.timezone = n.timezone
)
ON CONFLICT (office_id) DO UPDATE SET
    name = excluded.name, timezone = excluded.timezone, told_at_ms = excluded.told_at_ms
WHERE o.told_at_ms < excluded.told_at_ms;

-- read_office_time --
-- An office's name and zone, and the time of the server that decides. $1 office_id
SELECT name, timezone, clock_timestamp() AS now FROM office WHERE office_id = $1;

-- read_visits --
-- A line for every queue number of an office's day, by session and number. $1 office_id, $2 date, $3 how many at most
SELECT
    v.session, v.starts_at, v.ends_at, p.seat, v.service, v.channel, v.state, v.booking_id, p.person_id
FROM visit AS v
CROSS JOIN LATERAL unnest(v.seats, v.person_ids) AS p (seat, person_id)
WHERE v.office_id = $1 AND v.date = $2
ORDER BY v.starts_at, v.session, p.seat, v.service, v.channel
LIMIT $3;

-- forget_visits --
-- Visits whose day is long over. Returns how many. $1 days they are kept, $2 rows at most
WITH gone AS (
    DELETE FROM visit
    WHERE booking_id IN (
        SELECT booking_id FROM visit
        WHERE date < (now() AT TIME ZONE 'UTC')::date - $1::integer
        ORDER BY date LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    RETURNING booking_id
)
SELECT count(*) FROM gone;
