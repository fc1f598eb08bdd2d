-- read_asked_wishes --
-- Of these bookings those that quota was asked for and has not answered until now. $1 booking_ids
SELECT booking_id, why, account_id, person_ids, slot_ids, seats, replaces, actor, reason, pay_by, good_until
FROM wish
WHERE booking_id = ANY ($1::text[]) AND state = 'asked';

-- read_move --
-- How the move of a booking stands. $1 booking_id of the new one, $2 of the old one, $3 its account, or else $4 its office
SELECT w.booking_id, w.why, w.state, w.refusal
FROM wish AS w
JOIN booking AS b ON b.booking_id = w.replaces
LEFT JOIN slot AS s ON s.slot_id = b.slot_id
WHERE w.booking_id = $1 AND w.replaces = $2 AND (w.account_id = $3 OR s.office_id = $4);

-- is_move_under_way --
-- Whether quota has not answered yet. $1 booking_id that is to be moved
SELECT EXISTS (SELECT FROM wish WHERE replaces = $1 AND state = 'asked');

-- count_moves --
-- How often what is now this booking was moved for this reason, from its first place on. $1 booking_id, $2 why
WITH RECURSIVE chain AS (
    SELECT w.replaces, w.why FROM wish AS w WHERE w.booking_id = $1 AND w.state = 'held' AND w.replaces IS NOT NULL
    UNION ALL
    SELECT w.replaces, w.why
    FROM chain AS c
    JOIN wish AS w ON w.booking_id = c.replaces AND w.state = 'held' AND w.replaces IS NOT NULL
)
SELECT count(*) FILTER (WHERE why = $2) FROM chain;

-- keep_late_money --
-- The facts of a payment for a booking that has no places, from the first moment on; its state waits. $1 JSON array of
-- {booking_id, billing_code, amount_rupiah, ntpn, paid_at}, $2 states it may be in
UPDATE booking AS b SET
    billing_code = coalesce(p.billing_code, b.billing_code), amount_rupiah = p.amount_rupiah, ntpn = p.ntpn,
    paid_at = p.paid_at, unseated_at = clock_timestamp()
FROM json_to_recordset($1::json) AS p (
    booking_id text, billing_code text, amount_rupiah bigint, ntpn text, paid_at timestamptz
)
WHERE b.booking_id = p.booking_id AND b.ntpn IS NULL AND b.state = ANY ($2::text[]);

-- ask_refund --
-- The payer wants the money back: no places are sought for it any more. Returns since when. $1 booking_id
UPDATE booking SET refund_asked_at = coalesce(refund_asked_at, clock_timestamp())
WHERE booking_id = $1 AND state = 'paid_no_seat'
RETURNING refund_asked_at;

-- read_unseated --
-- Money without places, oldest first, and whether places are sought for it now. $1 how many at most
SELECT b.booking_id, b.state, b.slot_id, b.amount_rupiah, b.ntpn, b.paid_at, b.unseated_at, b.refund_asked_at,
    EXISTS (SELECT FROM wish AS w WHERE w.replaces = b.booking_id AND w.state = 'asked') AS sought
FROM booking AS b
WHERE b.unseated_at IS NOT NULL AND b.state <> 'rescheduled'
ORDER BY b.unseated_at
LIMIT $1;

-- read_target --
-- A slot somebody wants to move to, by the clock that decides. $1 slot_id
SELECT slot_id, office_id, service, channel, date, pay_seconds, closed, opens_at <= clock_timestamp() AS released,
    starts_at <= clock_timestamp() AS begun
FROM slot
WHERE slot_id = $1;

-- read_reseat_slots --
-- Where a payer in time may sit instead: his own slot, the same day, then day after day, the same session first. Only
-- what is released and has not begun. $1 slot_id, $2 how many at most
SELECT s.slot_id, s.pay_seconds
FROM slot AS was
JOIN slot AS s ON (s.office_id, s.service, s.channel) = (was.office_id, was.service, was.channel) AND s.date >= was.date
WHERE was.slot_id = $1 AND NOT s.closed AND s.opens_at <= clock_timestamp() AND s.starts_at > clock_timestamp()
ORDER BY s.slot_id <> was.slot_id, s.date, s.session <> was.session, s.starts_at
LIMIT $2;

-- read_alternatives --
-- Other slots with enough free places as far as booking knows, of the same office before the same city, near the day
-- that was wanted. $1 office_id, $2 city, $3 service, $4 channel, $5 day, $6 places, $7 slot_ids not to name, $8 how many at most
SELECT s.slot_id, s.office_id, s.office_name, s.city, s.timezone, s.date, s.session, s.starts_at, s.ends_at, s.service,
    s.channel, s.on_sale - taken.places AS free
FROM slot AS s
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS places FROM booking_seat AS b WHERE b.slot_id = s.slot_id
) AS taken
WHERE (s.office_id = $1 OR s.city = $2) AND s.service = $3 AND s.channel = $4 AND NOT s.closed
    AND s.opens_at <= clock_timestamp() AND s.starts_at > clock_timestamp() AND s.slot_id <> ALL ($7::text[])
    AND s.on_sale - taken.places >= $6::integer
ORDER BY s.office_id <> $1, abs(s.date - $5::date), s.starts_at, s.slot_id
LIMIT $8;

-- read_any_booking --
-- One booking with its history, whoever has it. $1 booking_id
SELECT b.*, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at, s.ends_at,
    s.service, s.channel,
    (SELECT json_agg(json_build_object('state', h.state, 'at', h.at) ORDER BY h.version)
        FROM booking_history AS h WHERE h.booking_id = b.booking_id)::text AS history
FROM booking AS b
LEFT JOIN slot AS s USING (slot_id)
WHERE b.booking_id = $1;
