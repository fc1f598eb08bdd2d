-- put_incident --
-- Declare hours without service. $1 incident_id, $2 office_id, $3 starts_at, $4 ends_at, $5 kind, $6 reason, $7 declared_by
INSERT INTO incident (incident_id, office_id, starts_at, ends_at, kind, reason, declared_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING incident_id, office_id, starts_at, ends_at, kind, reason, declared_by, declared_at;

-- read_incidents --
-- An office's incidents, newest first. $1 office_id, $2 how many at most
SELECT incident_id, office_id, starts_at, ends_at, kind, reason, declared_by, declared_at
FROM incident
WHERE office_id = $1
ORDER BY ends_at DESC, incident_id
LIMIT $2;

-- lock_unsettled_incident --
-- The oldest incident not everybody of whom is pardoned yet, unless somebody else has it in hand.
SELECT incident_id, office_id, starts_at, ends_at, kind, reason, declared_by, declared_at
FROM incident
WHERE settled_at IS NULL
ORDER BY declared_at
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- settle_incident --
-- Nobody it covers is blocked any more. $1 incident_id
UPDATE incident SET settled_at = clock_timestamp() WHERE incident_id = $1;

-- lock_blocked --
-- No-shows of an office whose session met some hours and who are not pardoned, locked in order.
-- $1 office_id, $2 starts_at, $3 ends_at, $4 how many at most
SELECT b.booking_id
FROM slot AS s
JOIN booking AS b ON b.slot_id = s.slot_id AND b.ntpn IS NOT NULL
WHERE s.office_id = $1 AND s.date BETWEEN $2::timestamptz::date - 1 AND $3::timestamptz::date + 1
    AND s.starts_at < $3 AND s.ends_at > $2 AND b.state = 'no_show' AND b.pardoned_at IS NULL
ORDER BY b.booking_id
LIMIT $4
FOR UPDATE OF b;

-- count_awaited --
-- Bookings of an office that are still to come in some hours. $1 office_id, $2 starts_at, $3 ends_at
SELECT count(*)
FROM slot AS s
JOIN booking_awaited AS a USING (slot_id)
WHERE s.office_id = $1 AND s.date BETWEEN $2::timestamptz::date - 1 AND $3::timestamptz::date + 1
    AND s.starts_at < $3 AND s.ends_at > $2;
