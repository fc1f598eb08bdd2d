-- put_edition --
-- A calendar in force from a day on; the same day again replaces it. $1 office_id or null, $2 effective_from, $3 JSON document, $4 who
INSERT INTO calendar_edition (office_id, effective_from, body, put_by) VALUES ($1, $2, $3::jsonb, $4)
ON CONFLICT (coalesce(office_id, ''), effective_from)
DO UPDATE SET body = excluded.body, put_by = excluded.put_by, put_at = clock_timestamp();

-- read_editions --
-- Every edition of the nation and of offices.
SELECT office_id, effective_from, body::text FROM calendar_edition ORDER BY effective_from, office_id NULLS FIRST;

-- read_days_off --
-- Every holiday from a day on. $1 first day
SELECT day FROM holiday WHERE day >= $1;

-- put_closures --
-- Close days of an office; a day closed already keeps its first reason. $1 office_id, $2 first day, $3 last day, $4 who, $5 why
INSERT INTO closure (office_id, day, closed_by, reason)
SELECT $1, day::date, $4, $5 FROM generate_series($2::date, $3::date, interval '1 day') AS day
ON CONFLICT DO NOTHING;

-- read_closures --
-- Days closed from a day on. $1 first day
SELECT office_id, day FROM closure WHERE day >= $1;

-- close_days --
-- Close every slot of an office's days. Returns the ids. $1 office_id, $2 first day, $3 last day
UPDATE slot SET closed = true, version = version + 1
WHERE office_id = $1 AND date BETWEEN $2 AND $3 AND NOT closed
RETURNING slot_id;

-- begin_publications --
-- Offices nobody has looked at yet are due.
INSERT INTO publication (office_id)
SELECT office_id FROM office WHERE office_id NOT IN (SELECT office_id FROM publication)
ON CONFLICT DO NOTHING;

-- lock_due_publication --
-- The office that has been due the longest and that nobody else has in hand, locked.
SELECT office_id FROM publication
WHERE look_at <= clock_timestamp()
ORDER BY look_at
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- put_off_publication --
-- When to look at an office again. $1 office_id, $2 when
UPDATE publication SET look_at = $2 WHERE office_id = $1;

-- hurry_publications --
-- Look at an office at once, or at all of them. $1 office_id or null
UPDATE publication SET look_at = clock_timestamp() WHERE $1::text IS NULL OR office_id = $1;

-- read_seconds_to_publication --
-- Seconds until the next office is due, negative when one is overdue; null without offices.
SELECT extract(epoch FROM min(look_at) - clock_timestamp())::float8 FROM publication;

-- read_planned_days --
-- Which offices have slots on which days. $1 first day
SELECT DISTINCT office_id, date FROM slot WHERE date >= $1;

-- lock_slots --
-- What may be changed of slots, locked in one order. $1 slot_ids
SELECT slot_id, office_id, timezone, date, channel, capacity, stock_limit, closed, version, closes_at, pay_seconds,
    starts_at, ends_at,
    (SELECT count(*) FROM booking_seat AS t WHERE t.slot_id = s.slot_id)::integer AS taken
FROM slot AS s
WHERE slot_id = ANY ($1::text[])
ORDER BY slot_id
FOR UPDATE OF s;

-- read_standing --
-- The same of one slot, without locking it. $1 slot_id
SELECT slot_id, office_id, timezone, date, channel, capacity, stock_limit, closed, version, closes_at, pay_seconds,
    starts_at, ends_at,
    (SELECT count(*) FROM booking_seat AS t WHERE t.slot_id = s.slot_id)::integer AS taken
FROM slot AS s
WHERE slot_id = $1;

-- resize_slot --
-- Give a slot other places, or close or open it, by hand; null leaves what is. Returns the new version if that changes anything.
-- $1 slot_id, $2 capacity or null, $3 closed or null
UPDATE slot SET
    version = version + 1, capacity = coalesce($2, capacity), capacity_fixed = capacity_fixed OR $2 IS NOT NULL,
    closed = coalesce($3, closed), closed_by_hand = coalesce($3, closed_by_hand)
WHERE slot_id = $1
    AND (capacity, capacity_fixed, closed, closed_by_hand) IS DISTINCT FROM (
        coalesce($2, capacity), capacity_fixed OR $2 IS NOT NULL, coalesce($3, closed), coalesce($3, closed_by_hand)
    )
RETURNING version;

-- read_surplus --
-- Bookings slots have no room for any more: the last to come, as many as it takes; of a closed slot, all. $1 slot_ids
SELECT slot_id, booking_id, state, places
FROM (
    SELECT s.slot_id, CASE WHEN s.closed THEN 0 ELSE s.capacity END AS room, b.booking_id, b.state, b.held_at, cardinality(b.seats) AS places,
        sum(cardinality(b.seats)) OVER (PARTITION BY s.slot_id ORDER BY b.held_at, b.booking_id) AS up_to
    FROM slot AS s
    JOIN booking AS b ON b.booking_id IN (
        SELECT t.booking_id FROM booking_seat AS t WHERE t.slot_id = s.slot_id
    )
    WHERE s.slot_id = ANY ($1::text[])
) AS taken
WHERE up_to > room
ORDER BY slot_id, held_at, booking_id;

-- lock_closed_bookings --
-- Bookings of closed days which still stand and for which nothing is under way, locked; those another has in hand are
-- left to it. $1 how many at most, $2 seconds before what was refused is asked for again
SELECT b.booking_id, b.state, b.account_id, b.person_ids, s.office_id, s.date, s.session, s.service, s.channel,
    s.timezone, s.pay_seconds, c.closed_by,
    (SELECT count(*) FROM wish AS w WHERE w.replaces = b.booking_id AND w.why = 'rebook') AS asked_before
FROM closure AS c
JOIN slot AS s ON s.office_id = c.office_id AND s.date = c.day
JOIN booking AS b ON b.booking_id IN (
    SELECT t.booking_id FROM booking_seat AS t WHERE t.slot_id = s.slot_id
)
WHERE c.day >= (clock_timestamp() AT TIME ZONE s.timezone)::date
    AND b.state IN ('held', 'awaiting_payment', 'confirmed')
    AND NOT EXISTS (
        SELECT FROM wish AS w
        WHERE w.replaces = b.booking_id
            AND (w.state = 'asked' OR w.state = 'refused' AND w.why = 'rebook'
                AND w.settled_at > clock_timestamp() - make_interval(secs => $2))
    )
    -- Who can go nowhere yet must not stand in the way of others.
    AND (b.state <> 'confirmed' OR EXISTS (
        SELECT FROM slot AS n
        WHERE (n.office_id, n.service, n.channel) = (s.office_id, s.service, s.channel) AND n.date > s.date
            AND NOT n.closed AND n.starts_at > clock_timestamp()
            AND n.on_sale - (SELECT count(*) FROM booking_seat AS t WHERE t.slot_id = n.slot_id)
                >= cardinality(b.seats)
    ))
ORDER BY c.day, s.starts_at, b.held_at, b.booking_id
LIMIT $1
FOR UPDATE OF b SKIP LOCKED;

-- read_next_places --
-- Slots of an office's later days that, by booking's own rows, have room: of one service and channel, by day, a session first.
-- $1 office_id, $2 after this day, $3 service, $4 channel, $5 session, $6 places, $7 how many slots at most
SELECT s.slot_id
FROM slot AS s
WHERE s.office_id = $1 AND s.date > $2 AND s.service = $3 AND s.channel = $4 AND NOT s.closed
    AND s.starts_at > clock_timestamp()
    AND s.on_sale - (SELECT count(*) FROM booking_seat AS t WHERE t.slot_id = s.slot_id) >= $6
ORDER BY s.date, (s.session = $5) DESC, s.starts_at
LIMIT $7;

-- read_closed_bookings --
-- What has become of the bookings of an office's closed day. $1 office_id, $2 day
SELECT b.booking_id, b.state, cardinality(b.seats) AS places, b.reason, b.moved_to,
    w.state AS wish_state, w.refusal
FROM booking AS b
JOIN slot AS s USING (slot_id)
LEFT JOIN LATERAL (
    SELECT state, refusal FROM wish
    WHERE replaces = b.booking_id AND why = 'rebook'
    ORDER BY asked_at DESC
    LIMIT 1
) AS w ON true
WHERE s.office_id = $1 AND s.date = $2
    AND (b.state IN ('held', 'awaiting_payment', 'confirmed') OR w.state IS NOT NULL OR b.reason = 'office_closed')
ORDER BY s.starts_at, b.held_at, b.booking_id;

-- read_closure --
-- Whether and why an office's day is closed. $1 office_id, $2 day
SELECT reason, closed_at FROM closure WHERE office_id = $1 AND day = $2;

-- read_spillable --
-- Slots whose time to spill over has come, with their twins of another channel, which have not spilled over yet.
-- $1 JSON array of {office_id, day, source, target, open_minutes}, $2 how many at most
SELECT s.slot_id, t.slot_id AS target_id, d.open_minutes
FROM json_to_recordset($1::json) AS d (office_id text, day date, source text, target text, open_minutes integer)
JOIN slot AS s ON (s.office_id, s.date, s.channel) = (d.office_id, d.day, d.source)
JOIN slot AS t ON (t.office_id, t.date, t.channel, t.session, t.service)
    = (d.office_id, d.day, d.target, s.session, s.service)
WHERE NOT s.closed AND NOT t.closed AND s.starts_at > clock_timestamp()
    AND NOT EXISTS (SELECT FROM spill_over AS o WHERE o.slot_id = s.slot_id)
ORDER BY s.slot_id
LIMIT $2;

-- put_spill_over --
-- Begin a spill-over, once. Returns the id if it is new.
-- $1 slot_id, $2 target_id, $3 places, $4 kept, $5 version, $6 open_minutes
INSERT INTO spill_over (slot_id, target_id, places, kept, version, open_minutes) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING slot_id;

-- note_applied --
-- Quota has applied plans: what was in use of slots whose shrinking waits for it. $1 slot_ids, $2 versions, $3 places in use
UPDATE spill_over AS o SET in_use = a.in_use
FROM unnest($1::text[], $2::integer[], $3::integer[]) AS a (slot_id, version, in_use)
WHERE o.slot_id = a.slot_id AND o.version <= a.version AND o.in_use IS NULL AND o.moved_at IS NULL;

-- lock_applied_spill_overs --
-- Spill-overs quota has answered, oldest first, locked; those another has in hand are left to it. $1 how many at most
SELECT slot_id, target_id, places, kept, in_use, open_minutes FROM spill_over
WHERE moved_at IS NULL AND in_use IS NOT NULL
ORDER BY asked_at
LIMIT $1
FOR UPDATE SKIP LOCKED;

-- ask_spill_overs_again --
-- Slots whose shrinking quota has not answered for a while get a new version, to be told again. Returns their ids. $1 seconds, $2 how many at most
WITH silent AS (
    SELECT slot_id FROM spill_over
    WHERE moved_at IS NULL AND in_use IS NULL AND asked_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY asked_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), asked AS (
    UPDATE spill_over SET asked_at = clock_timestamp() WHERE slot_id IN (SELECT slot_id FROM silent)
)
UPDATE slot SET version = version + 1 WHERE slot_id IN (SELECT slot_id FROM silent)
RETURNING slot_id;

-- end_spill_over --
-- So many places have gone over. $1 slot_id, $2 places
UPDATE spill_over SET moved = $2, moved_at = clock_timestamp() WHERE slot_id = $1;

-- reopen_slot --
-- Let a slot sell again for a while, by a window of that name. $1 slot_id, $2 window_id, $3 opens, $4 closes
UPDATE slot SET version = version + 1, follows_policy = false, window_id = $2, opens_at = $3, closes_at = $4
WHERE slot_id = $1;
