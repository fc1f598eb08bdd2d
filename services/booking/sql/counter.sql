-- lock_counter --
-- Be the only one who gives places of an office's counter until the transaction ends. Returns its time zone, or nothing if there is no such office. $1 office_id
SELECT timezone FROM office WHERE office_id = $1 FOR NO KEY UPDATE;

-- read_counter_slots --
-- Slots of a channel that are planned and not over, the earliest first. $1 office_id, $2 day, $3 service, $4 channel, $5 session or null for any, $6 how many at most
SELECT slot_id
FROM slot
WHERE office_id = $1 AND date = $2 AND service = $3 AND channel = $4 AND ($5::text IS NULL OR session = $5)
    AND NOT closed AND ends_at > clock_timestamp()
ORDER BY starts_at, slot_id
LIMIT $6;

-- count_counter_places --
-- Places given, or asked for, at an office's counter for a day. $1 office_id, $2 day, $3 why, $4 states that keep places
SELECT coalesce(sum(c.persons), 0)::integer
FROM counter_seating AS c
JOIN wish AS w USING (booking_id)
LEFT JOIN booking AS b USING (booking_id)
WHERE c.office_id = $1 AND c.day = $2 AND c.why = $3
    AND w.state <> 'refused' AND (b.booking_id IS NULL OR b.state = ANY ($4::text[]));

-- put_counter_seating --
-- Note which day of which office a wish counts for. $1 booking_id, $2 office_id, $3 day, $4 why, $5 ground, $6 persons
INSERT INTO counter_seating (booking_id, office_id, day, why, ground, persons) VALUES ($1, $2, $3, $4, $5, $6);

-- read_counter_seating --
-- What became of it. $1 booking_id, $2 office_id
SELECT c.booking_id, c.office_id, c.day, c.why, c.ground, w.state AS wish_state, w.refusal, w.account_id,
    b.state AS booking_state, b.reason, b.slot_id, b.seats, b.person_ids, b.pay_by,
    b.billing_code, b.virtual_account, b.amount_rupiah,
    s.session, s.starts_at, s.ends_at, s.timezone, s.service
FROM counter_seating AS c
JOIN wish AS w USING (booking_id)
LEFT JOIN booking AS b USING (booking_id)
LEFT JOIN slot AS s USING (slot_id)
WHERE c.booking_id = $1 AND c.office_id = $2;
