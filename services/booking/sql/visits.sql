-- find_booking_by_place --
-- Who has a queue number. $1 office_id, $2 date, $3 session, $4 service, $5 channel, $6 number
SELECT t.booking_id
FROM slot AS s
JOIN booking_seat AS t ON t.slot_id = s.slot_id AND t.seat = $6
WHERE s.office_id = $1 AND s.date = $2 AND s.session = $3 AND s.service = $4 AND s.channel = $5;

-- write_check_in --
-- Note who was seen. $1 booking_id, $2 at, $3 by account, $4 how
INSERT INTO check_in (booking_id, at, by_account, how) VALUES ($1, $2, $3, $4);

-- read_check_in --
-- Who saw a booking's people, and when. $1 booking_id
SELECT at, by_account, how FROM check_in WHERE booking_id = $1;

-- read_office_zone --
-- The name and zone of an office and the time of this server. $1 office_id
SELECT name, timezone, clock_timestamp() AS now FROM office WHERE office_id = $1;

-- read_day_sheet --
-- A line for every queue number of an office's day that is taken, by session and number.
-- $1 office_id, $2 date, $3 how many at most
SELECT s.session, s.starts_at, s.ends_at, t.seat, s.service, s.channel, b.state, b.booking_id,
    b.person_ids[array_position(b.seats, t.seat)] AS person_id, c.at AS checked_in_at
FROM slot AS s
JOIN booking_seat AS t ON t.slot_id = s.slot_id
JOIN booking AS b ON b.booking_id = t.booking_id
LEFT JOIN check_in AS c ON c.booking_id = b.booking_id
WHERE s.office_id = $1 AND s.date = $2
ORDER BY s.starts_at, s.session, t.seat, s.service, s.channel
LIMIT $3;

-- read_revoked --
-- Bookings of an office's day that were paid, so that there are tickets of them, and are no longer valid.
-- $1 office_id, $2 date, $3 how many at most
SELECT b.booking_id, b.state, b.changed_at AS since
FROM slot AS s
JOIN booking AS b ON b.slot_id = s.slot_id AND b.ntpn IS NOT NULL
WHERE s.office_id = $1 AND s.date = $2
    AND b.state IN ('cancelled', 'expired', 'rescheduled', 'displaced', 'no_show', 'paid_no_seat')
ORDER BY b.booking_id
LIMIT $3;
