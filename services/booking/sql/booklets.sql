-- put_service_booklets --
-- Load which kind of booklet services take; one that is named no more takes none. $1 services and $2 kinds, side by side
WITH gone AS (
    DELETE FROM service_booklet WHERE service <> ALL ($1::text[])
)
INSERT INTO service_booklet (service, kind)
SELECT service, kind FROM unnest($1::text[], $2::text[]) AS s (service, kind)
ON CONFLICT (service) DO UPDATE SET kind = excluded.kind;

-- read_booklet_kinds --
-- Every kind there is and the services that take it.
SELECT kind, array_agg(service ORDER BY service) AS services FROM service_booklet GROUP BY kind ORDER BY kind;

-- begin_booklet_stock --
-- Count a kind from now on, from none. $1 office_id, $2 kind
INSERT INTO booklet_stock (office_id, kind, in_stock) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING;

-- lock_booklet_stock --
-- How many there are, locked; no row where nobody counts. $1 office_id, $2 kind
SELECT in_stock FROM booklet_stock WHERE office_id = $1 AND kind = $2 FOR UPDATE;

-- set_booklet_stock --
-- So many there are, to be dealt out at once; the movement is written. $1 office_id, $2 kind, $3 how many, $4 change, $5 why, $6 actor
WITH stocked AS (
    UPDATE booklet_stock SET in_stock = $3, look_at = clock_timestamp() WHERE office_id = $1 AND kind = $2
    RETURNING office_id, kind, in_stock
)
INSERT INTO booklet_movement (office_id, kind, why, change, in_stock, actor)
SELECT office_id, kind, $5, $4, in_stock, $6 FROM stocked;

-- end_booklet_stock --
-- Nobody counts a kind any more. $1 office_id, $2 kind
DELETE FROM booklet_stock WHERE office_id = $1 AND kind = $2;

-- lift_stock_limits --
-- Slots of a kind that nobody counts have all their places again. Returns those that changed. $1 office_id, or null for every office
UPDATE slot AS s SET stock_limit = NULL, version = version + 1
WHERE s.stock_limit IS NOT NULL AND ($1::text IS NULL OR s.office_id = $1)
    AND NOT EXISTS (
        SELECT FROM service_booklet AS m
        JOIN booklet_stock AS k ON k.kind = m.kind AND k.office_id = s.office_id
        WHERE m.service = s.service
    )
RETURNING s.slot_id;

-- use_booklets --
-- A booking was served: it takes its booklets, once, where the office counts them. $1 office_id, $2 service, $3 booking_id, $4 how many, $5 actor
WITH used AS (
    UPDATE booklet_stock AS k SET in_stock = k.in_stock - $4
    FROM service_booklet AS m
    WHERE m.service = $2 AND k.kind = m.kind AND k.office_id = $1
        AND NOT EXISTS (SELECT FROM booklet_movement WHERE booking_id = $3)
    RETURNING k.office_id, k.kind, k.in_stock
)
INSERT INTO booklet_movement (office_id, kind, why, change, in_stock, actor, booking_id)
SELECT office_id, kind, 'served', -$4, in_stock, $5, $3 FROM used;

-- read_booklet_stocks --
-- What an office counts. $1 office_id
SELECT kind, in_stock FROM booklet_stock WHERE office_id = $1;

-- read_booklet_movements --
-- What changed a stock, the latest first. $1 office_id, $2 kind, $3 how many at most
SELECT at, why, change, in_stock, actor, booking_id FROM booklet_movement
WHERE office_id = $1 AND kind = $2
ORDER BY movement_id DESC
LIMIT $3;

-- lock_due_booklet_stock --
-- The stock that has been due the longest and that nobody else has in hand, locked.
SELECT office_id, kind, in_stock, left_over FROM booklet_stock
WHERE look_at <= clock_timestamp()
ORDER BY look_at
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- read_booklet_slots --
-- An office's slots of today and later that draw on a kind, as they come: what is taken of each, how much of it is
-- promised a booklet, and whether it can still give places. $1 office_id, $2 kind, $3 how many at most
SELECT s.slot_id, s.date - (clock_timestamp() AT TIME ZONE s.timezone)::date AS days_ahead, s.capacity, s.stock_limit,
    NOT s.closed AND s.ends_at > clock_timestamp() AS gives_places, t.taken, t.confirmed, t.held
FROM service_booklet AS m
JOIN slot AS s ON s.service = m.service AND s.office_id = $1
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS taken,
        (count(*) FILTER (WHERE b.state IN ('confirmed', 'checked_in')))::integer AS confirmed,
        (count(*) FILTER (WHERE b.state IN ('held', 'awaiting_payment')))::integer AS held
    FROM booking_seat AS p
    JOIN booking AS b USING (booking_id)
    WHERE p.slot_id = s.slot_id
) AS t
WHERE m.kind = $2 AND s.date >= current_date - 1
    AND s.date >= (clock_timestamp() AT TIME ZONE s.timezone)::date
ORDER BY s.starts_at, s.slot_id
LIMIT $3;

-- put_stock_limits --
-- Deal booklets to slots, unless somebody has changed them meanwhile. Returns those that changed.
-- $1 JSON array of {slot_id, capacity, stock_limit}
UPDATE slot AS s SET stock_limit = d.stock_limit, version = s.version + 1
FROM json_to_recordset($1::json) AS d (slot_id text, capacity integer, stock_limit integer)
WHERE s.slot_id = d.slot_id AND s.capacity = d.capacity AND s.stock_limit IS DISTINCT FROM d.stock_limit
RETURNING s.slot_id;

-- put_off_booklet_stock --
-- What was found, and in how many seconds to look again. $1 office_id, $2 kind, $3 left over, $4 short places, $5 seconds
UPDATE booklet_stock SET
    left_over = $3, short_places = $4, look_at = clock_timestamp() + make_interval(secs => $5)
WHERE office_id = $1 AND kind = $2;

-- read_booklets_short --
-- How many stocks are all promised, and how many places of visits of the coming days are beyond theirs.
SELECT (count(*) FILTER (WHERE left_over <= 0))::integer AS out, coalesce(sum(short_places), 0)::integer AS short_places
FROM booklet_stock;

-- read_beyond_stock --
-- Confirmed visits of today and later beyond an office's stock of a kind: the last to come. $1 office_id, $2 kind, $3 in stock, $4 how many at most
SELECT booking_id, slot_id, date, state, places
FROM (
    SELECT b.booking_id, s.slot_id, s.date, s.starts_at, b.state, b.held_at, cardinality(b.seats) AS places,
        sum(cardinality(b.seats)) OVER (ORDER BY s.starts_at, b.held_at, b.booking_id) AS up_to
    FROM service_booklet AS m
    JOIN slot AS s ON s.service = m.service AND s.office_id = $1
    JOIN booking AS b ON b.slot_id = s.slot_id AND b.ntpn IS NOT NULL AND b.state IN ('confirmed', 'checked_in')
    WHERE m.kind = $2 AND s.date >= current_date - 1
        AND s.date >= (clock_timestamp() AT TIME ZONE s.timezone)::date
) AS promised
WHERE up_to > greatest($3::integer, 0)
ORDER BY starts_at, held_at, booking_id
LIMIT $4;
