-- read_slots_over --
-- Slots whose office has ended its day some time ago and where somebody is still awaited. Steps over the index from one
-- such slot to the next: past slots, which nobody is awaited in, cost nothing. $1 seconds of grace
WITH RECURSIVE awaited (slot_id) AS (
    (SELECT slot_id FROM booking_awaited ORDER BY slot_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT w.slot_id FROM booking_awaited AS w
        WHERE w.slot_id > a.slot_id
        ORDER BY w.slot_id
        LIMIT 1
    )
    FROM awaited AS a
    WHERE a.slot_id IS NOT NULL
), ended AS (
    SELECT s.slot_id, s.office_id, s.date
    FROM awaited
    JOIN slot AS s USING (slot_id)
    WHERE s.ends_at <= clock_timestamp() - make_interval(secs => $1)
), day AS (
    SELECT s.office_id, s.date, max(s.ends_at) AS ends_at
    FROM (SELECT DISTINCT office_id, date FROM ended) AS e
    JOIN slot AS s USING (office_id, date)
    GROUP BY s.office_id, s.date
)
SELECT e.slot_id
FROM ended AS e
JOIN day AS d USING (office_id, date)
WHERE d.ends_at <= clock_timestamp() - make_interval(secs => $1)
ORDER BY e.slot_id;

-- keep_incidents_still --
-- No incident is declared between reading which there are and blocking those it would cover.
LOCK TABLE incident IN SHARE MODE;

-- lock_missed --
-- Confirmed bookings of these slots, locked; those a desk has in hand are left to it. Says until when each is blocked,
-- by the calendar of the office, and whether the office could not serve. $1 slot_ids, $2 days, $3 how many at most
SELECT b.booking_id, (s.date + $2::integer)::timestamp AT TIME ZONE s.timezone AS blocked_until,
    s.closed OR EXISTS (
        SELECT FROM incident AS i
        WHERE i.office_id = s.office_id AND i.starts_at < s.ends_at AND i.ends_at > s.starts_at
    ) AS excused
FROM booking_awaited AS w
JOIN booking AS b USING (booking_id)
JOIN slot AS s ON s.slot_id = b.slot_id
WHERE w.slot_id = ANY ($1::text[]) AND b.state = 'confirmed'
ORDER BY w.slot_id, w.booking_id
LIMIT $3
FOR UPDATE OF b SKIP LOCKED;

-- end_day --
-- Put an office's day behind us, for sandboxes: its sessions end now, in their order. $1 office_id, $2 day
UPDATE slot SET
    starts_at = clock_timestamp() - interval '1 day' + (starts_at - date_trunc('day', starts_at)) / 24,
    ends_at = clock_timestamp() - interval '1 hour' + (ends_at - date_trunc('day', ends_at)) / 48
WHERE office_id = $1 AND date = $2;
