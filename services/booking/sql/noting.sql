-- put_offline_walk_in --
-- Keep what a desk noted. $1 office_id, $2 entry_id, $3 day, $4 service, $5 persons, $6 numbers, $7 at, $8 by account, $9 served, $10 who uploads
INSERT INTO offline_walk_in (office_id, entry_id, day, service, persons, numbers, at, by_account, served, uploaded_by)
VALUES ($1, $2, $3, $4, $5, $6::integer[], $7, $8, $9, $10);

-- ask_for_offline_walk_in --
-- Places are asked for, by this wish. $1 office_id, $2 entry_id, $3 booking_id
UPDATE offline_walk_in SET attempts = attempts + 1, booking_id = $3 WHERE office_id = $1 AND entry_id = $2;

-- read_offline_walk_ins --
-- What has become of them, in the order they came. $1 office_id, $2 entry_ids, $3 day or null; one of the two, $4 how many at most
SELECT o.entry_id, o.day, o.service, o.persons, o.numbers, o.at, o.by_account, o.served, o.attempts, o.booking_id,
    w.state AS wish_state, w.refusal, b.state AS booking_state, b.slot_id, b.seats, b.pay_by, b.billing_code,
    b.virtual_account, b.amount_rupiah
FROM offline_walk_in AS o
LEFT JOIN wish AS w USING (booking_id)
LEFT JOIN booking AS b USING (booking_id)
WHERE o.office_id = $1 AND (o.day = $3::date OR $3::date IS NULL AND o.entry_id = ANY ($2::text[]))
ORDER BY o.at, o.entry_id
LIMIT $4;

-- read_walk_in_slot --
-- The walk-in places of an hour: of the session it falls into, else the last that had begun, else the first of the day.
-- $1 office_id, $2 day, $3 service, $4 channel, $5 at
SELECT slot_id FROM slot
WHERE office_id = $1 AND date = $2 AND service = $3 AND channel = $4 AND NOT closed
ORDER BY starts_at <= $5 AND $5 < ends_at DESC, starts_at <= $5 DESC,
    CASE WHEN starts_at <= $5 THEN $5 - starts_at ELSE starts_at - $5 END, slot_id
LIMIT 1;

-- read_walk_in_places --
-- An office's walk-in slots of a day with the numbers nobody has, as far as is recorded. $1 office_id, $2 day, $3 channel, $4 numbers of a slot at most
SELECT s.slot_id, s.session, s.service, s.starts_at, s.ends_at, s.on_sale AS places, ARRAY(
        SELECT n.number FROM generate_series(1, s.on_sale) AS n (number)
        WHERE NOT EXISTS (
            SELECT FROM booking_seat AS t WHERE t.slot_id = s.slot_id AND t.seat = n.number
        )
        ORDER BY n.number
        LIMIT $4
    ) AS free_numbers
FROM slot AS s
WHERE s.office_id = $1 AND s.date = $2 AND s.channel = $3 AND NOT s.closed
ORDER BY s.starts_at, s.slot_id;

-- read_noted_bookings --
-- Those of these bookings that are people a desk has seen without a network. $1 booking_ids
SELECT booking_id, office_id, at, by_account, served, uploaded_by FROM offline_walk_in
WHERE booking_id = ANY ($1::text[])
ORDER BY booking_id;
