-- put_wish --
-- Ask once. Returns the id if it is new and no other move of the same booking is under way.
-- $1 booking_id, $2 why, $3 account_id, $4 person_ids, $5 slot_ids, $6 seats, $7 replaces, $8 actor, $9 reason, $10 pay_by, $11 good_until
INSERT INTO wish (booking_id, why, account_id, person_ids, slot_ids, seats, replaces, actor, reason, pay_by, good_until)
VALUES ($1, $2, $3, $4::text[], $5::text[], $6::integer[], $7, $8, $9, $10, $11)
ON CONFLICT DO NOTHING
RETURNING booking_id;

-- settle_wishes --
-- Quota has answered. Returns the wishes that were still open. $1 JSON array of {booking_id, refusal}; refusal is null for places had
UPDATE wish AS w SET
    state = CASE WHEN a.refusal IS NULL THEN 'held' ELSE 'refused' END,
    refusal = a.refusal,
    settled_at = clock_timestamp()
FROM json_to_recordset($1::json) AS a (booking_id text, refusal text)
WHERE w.booking_id = a.booking_id AND w.state = 'asked'
RETURNING w.booking_id, w.why, w.account_id, w.person_ids, w.slot_ids, w.seats, w.replaces, w.actor, w.reason, w.pay_by,
    w.good_until;

-- read_wish --
-- How a wish stands. $1 booking_id
SELECT booking_id, why, state, refusal FROM wish WHERE booking_id = $1;

-- read_offered --
-- Which bookings are offers to who was next in line. $1 booking_ids
SELECT booking_id, why FROM wish WHERE booking_id = ANY ($1::text[]) AND why = 'waitlist';

-- read_unsettled_wishes --
-- Wishes quota has not answered some time after they could still be had: to be asked again. $1 seconds, $2 how many at most
SELECT booking_id, why, account_id, person_ids, slot_ids, seats, replaces, actor, reason, pay_by, good_until
FROM wish
WHERE state = 'asked' AND good_until < clock_timestamp() - make_interval(secs => $1)
ORDER BY good_until
LIMIT $2
FOR UPDATE SKIP LOCKED;

-- read_oldest_unanswered --
-- Seconds since the first open wish could not be had any more, or 0.
SELECT greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(good_until)), 0))::double precision
FROM wish WHERE state = 'asked';
