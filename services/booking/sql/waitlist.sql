-- read_waitable_slots --
-- Slots of a range that have been on sale and are still to come: whether each is sold now, and how many places it has
-- left as far as is recorded. $1 office_id, $2 service, $3 first day, $4 last day, $5 how many at most
SELECT s.slot_id, s.closes_at > clock_timestamp() AS sold_now,
    s.on_sale - (SELECT count(*) FROM booking_seat AS t WHERE t.slot_id = s.slot_id)::integer AS places_left
FROM slot AS s
WHERE s.office_id = $1 AND s.service = $2 AND s.date BETWEEN $3 AND $4 AND s.channel = 'online' AND NOT s.closed
    AND s.opens_at <= clock_timestamp() AND s.starts_at > clock_timestamp()
ORDER BY s.starts_at, s.slot_id
LIMIT $5;

-- read_busy_persons --
-- Those who have a booking under way. $1 person_ids
SELECT person_id FROM booking_person WHERE person_id = ANY ($1::text[]) ORDER BY person_id;

-- count_waiting --
-- How long a line is. $1 office_id, $2 service
SELECT count(*) FROM waitlist_entry WHERE state = 'waiting' AND office_id = $1 AND service = $2;

-- put_waitlist_entry --
-- Join a line at its end. Returns the id unless the account waits already. $1 entry_id, $2 account_id, $3 office_id, $4 service, $5 first day, $6 last day, $7 person_ids
INSERT INTO waitlist_entry (entry_id, account_id, office_id, service, first_day, last_day, person_ids)
VALUES ($1, $2, $3, $4, $5, $6, $7::text[])
ON CONFLICT DO NOTHING
RETURNING entry_id;

-- put_waitlist_persons --
-- Note who waits. Returns those that did not wait elsewhere. $1 entry_id, $2 person_ids
INSERT INTO waitlist_person (person_id, entry_id)
SELECT person_id, $1 FROM unnest($2::text[]) AS p (person_id) ORDER BY person_id
ON CONFLICT DO NOTHING
RETURNING person_id;

-- read_waitlist --
-- An account's entries, newest first, each with its place in line and what is offered. $1 account_id, $2 entry_id or null for all, $3 how many at most
SELECT e.entry_id, e.state, e.office_id, o.timezone, e.service, e.first_day, e.last_day, e.person_ids, e.joined_at,
    CASE WHEN e.state = 'waiting' THEN 1 + (
        SELECT count(*) FROM waitlist_entry AS a
        WHERE a.state = 'waiting' AND a.office_id = e.office_id AND a.service = e.service AND a.place < e.place
    ) END AS position,
    b.booking_id, b.pay_by
FROM waitlist_entry AS e
JOIN office AS o USING (office_id)
LEFT JOIN booking AS b USING (booking_id)
WHERE e.account_id = $1 AND ($2::text IS NULL OR e.entry_id = $2)
ORDER BY e.place DESC
LIMIT $3;

-- lock_waitlist_entry --
-- An account's entry, locked until the transaction ends. $1 entry_id, $2 account_id
SELECT state, booking_id FROM waitlist_entry WHERE entry_id = $1 AND account_id = $2 FOR UPDATE;

-- read_refused_offers --
-- Entries whose offer quota refused, with their lines. $1 booking_ids
SELECT entry_id, place, office_id, service, person_ids, booking_id
FROM waitlist_entry
WHERE booking_id = ANY ($1::text[]) AND ended_at IS NULL AND state = 'offered'
ORDER BY place;

-- read_slots_waited_for --
-- Of slots in which places came back those somebody waits for, the earliest first; without anybody in any line it costs
-- one look at an index. $1 slot_ids, $2 seconds there must be left until it begins
SELECT s.slot_id, s.office_id, s.service, s.date, s.opens_at
FROM slot AS s
WHERE EXISTS (SELECT FROM waitlist_entry WHERE state = 'waiting')
    AND s.slot_id = ANY ($1::text[]) AND s.channel = 'online' AND NOT s.closed
    AND s.starts_at > clock_timestamp() + make_interval(secs => $2)
    AND EXISTS (
        SELECT FROM waitlist_entry AS e
        WHERE e.state = 'waiting' AND e.office_id = s.office_id AND e.service = s.service
            AND s.date BETWEEN e.first_day AND e.last_day
    )
ORDER BY s.starts_at, s.slot_id;

-- lock_waitlist_line --
-- Be the only one who offers places to a line until the transaction ends. $1 office and service in one text
SELECT pg_advisory_xact_lock(hashtextextended($1, 0));

-- lock_next_in_line --
-- The next entries of a line that a slot would do for, in order; none whose people have a booking meanwhile. One that is
-- locked is being left this moment. $1 office_id, $2 service, $3 the slot's day, $4 when its sale opened, $5 persons at most, $6 behind this place, $7 how many at most
SELECT e.entry_id, e.place, e.account_id, e.person_ids, e.attempts
FROM waitlist_entry AS e
WHERE e.state = 'waiting' AND e.office_id = $1 AND e.service = $2 AND $3 BETWEEN e.first_day AND e.last_day
    AND e.joined_at >= $4 AND cardinality(e.person_ids) <= $5 AND e.place > $6
    AND NOT EXISTS (SELECT FROM booking_person AS p WHERE p.person_id = ANY (e.person_ids))
ORDER BY e.place
LIMIT $7
FOR UPDATE OF e SKIP LOCKED;

-- offer_waitlist_entry --
-- An offer is under way. $1 entry_id, $2 booking_id
UPDATE waitlist_entry SET state = 'offered', attempts = attempts + 1, booking_id = $2 WHERE entry_id = $1;

-- requeue_waitlist_entries --
-- Back in line, at the place they had. $1 entry_ids
UPDATE waitlist_entry SET state = 'waiting', booking_id = NULL WHERE entry_id = ANY ($1::text[]) AND state = 'offered';

-- end_waitlist_entries --
-- They wait no more. $1 entry_ids, $2 state, $3 whether something about their offer is still open
WITH ended AS (
    UPDATE waitlist_entry SET state = $2, ended_at = CASE WHEN NOT $3::boolean THEN clock_timestamp() END
    WHERE entry_id = ANY ($1::text[]) AND ended_at IS NULL
    RETURNING entry_id
)
DELETE FROM waitlist_person AS p USING ended AS e WHERE p.entry_id = e.entry_id;

-- lock_decided_offers --
-- Offers whose booking is unpaid no more, and what is left over of offers to those who left. $1 states that wait for money, $2 how many at most
SELECT e.entry_id, e.state, e.booking_id, b.state AS booking_state
FROM waitlist_entry AS e
JOIN wish AS w USING (booking_id)
LEFT JOIN booking AS b USING (booking_id)
WHERE e.ended_at IS NULL AND e.booking_id IS NOT NULL AND (
    b.state <> ALL ($1::text[]) OR e.state = 'left' AND (b.booking_id IS NOT NULL OR w.state = 'refused')
)
ORDER BY e.place
LIMIT $2
FOR UPDATE OF e SKIP LOCKED;

-- lock_past_entries --
-- Entries that wait for days that are over at their office. $1 how many at most
SELECT e.entry_id
FROM waitlist_entry AS e
JOIN office AS o USING (office_id)
WHERE e.state = 'waiting' AND e.last_day <= (clock_timestamp() AT TIME ZONE 'UTC')::date
    AND e.last_day < (clock_timestamp() AT TIME ZONE o.timezone)::date
ORDER BY e.last_day
LIMIT $1
FOR UPDATE OF e SKIP LOCKED;
