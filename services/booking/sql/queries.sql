-- put_offices --
-- Load offices; those already known are brought up to date. Returns how many were new or changed. $1 JSON array of domain.plan.Office
WITH put AS (
    INSERT INTO office (office_id, name, office_class, city, province, timezone, daily_quota, quota_basis)
    SELECT office_id, name, office_class, city, province, timezone, daily_quota, quota_basis
    FROM json_to_recordset($1::json) AS o (
        office_id text, name text, office_class text, city text, province text, timezone text,
        daily_quota integer, quota_basis text
    )
    ON CONFLICT (office_id) DO UPDATE SET
        name = excluded.name, office_class = excluded.office_class, city = excluded.city,
        province = excluded.province, timezone = excluded.timezone, daily_quota = excluded.daily_quota,
        quota_basis = excluded.quota_basis
    WHERE (office.*) IS DISTINCT FROM (excluded.*)
    RETURNING 1
)
SELECT count(*) FROM put;

-- put_holidays --
-- Load holidays; a day already known gets the new name. $1 JSON array of {day, name, kind}
INSERT INTO holiday (day, name, kind)
SELECT day, name, kind FROM json_to_recordset($1::json) AS h (day date, name text, kind text)
ON CONFLICT (day) DO UPDATE SET name = excluded.name, kind = excluded.kind;

-- put_calendar --
-- Replace the calendar. $1 JSON document
INSERT INTO calendar (body) VALUES ($1::jsonb) ON CONFLICT (only_row) DO UPDATE SET body = excluded.body;

-- read_calendar --
-- The calendar, or no row before the seed.
SELECT body::text FROM calendar;

-- read_offices --
-- All offices in the order people look for them.
SELECT office_id, name, office_class, city, province, timezone, daily_quota, quota_basis
FROM office
ORDER BY province, city, name;

-- put_windows --
-- Load windows; one already known is brought up to date. $1 JSON array of the table's columns
INSERT INTO service_window
    (window_id, kind, office_id, timezone, first_day, last_day, opens_at, closes_at, pay_seconds)
SELECT window_id, kind, office_id, timezone, first_day, last_day, opens_at, closes_at, pay_seconds
FROM json_to_recordset($1::json) AS w (
    window_id text, kind text, office_id text, timezone text, first_day date, last_day date,
    opens_at timestamptz, closes_at timestamptz, pay_seconds integer
)
ON CONFLICT (window_id) DO UPDATE SET
    opens_at = excluded.opens_at, closes_at = excluded.closes_at, pay_seconds = excluded.pay_seconds;

-- read_windows --
-- Windows that are open at $1 or to come, and those that closed lately, newest last, with the open places they release.
SELECT w.window_id, w.kind, w.office_id, w.timezone, w.first_day, w.last_day, w.opens_at, w.closes_at, w.pay_seconds,
    (w.opens_at <= $1) AS begun, (w.closes_at <= $1) AS over,
    count(s.slot_id) AS slots, coalesce(sum(s.capacity), 0) AS places
FROM service_window AS w
LEFT JOIN slot AS s ON s.window_id = w.window_id AND NOT s.closed
WHERE w.closes_at > $1::timestamptz - interval '7 days'
GROUP BY w.window_id
ORDER BY w.opens_at, w.window_id
LIMIT 1000;

-- put_slots --
-- Write a plan: new slots, and those whose plan differs, with the next version. Returns their ids.
-- What somebody set by hand stays: the window, the places, that it is closed. $1 JSON array of domain.plan.PlannedSlot
INSERT INTO slot AS known
    (slot_id, office_id, office_name, city, province, timezone, date, session, starts_at, ends_at, service, channel,
     capacity, window_id, opens_at, closes_at, next_opens_at, pay_seconds, return_times)
SELECT slot_id, office_id, office_name, city, province, timezone, date, session, starts_at, ends_at, service, channel,
    capacity, window_id, opens_at, closes_at, next_opens_at, pay_seconds, return_times
FROM json_to_recordset($1::json) AS s (
    slot_id text, office_id text, office_name text, city text, province text, timezone text, date date, session text,
    starts_at timestamptz, ends_at timestamptz, service text, channel text, capacity integer, window_id text,
    opens_at timestamptz, closes_at timestamptz, next_opens_at timestamptz, pay_seconds integer, return_times text[]
)
ON CONFLICT (slot_id) DO UPDATE SET
    version = known.version + 1,
    office_name = excluded.office_name, city = excluded.city, province = excluded.province,
    timezone = excluded.timezone, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    capacity = CASE WHEN known.capacity_fixed THEN known.capacity ELSE excluded.capacity END,
    return_times = excluded.return_times, closed = known.closed_by_hand,
    window_id = CASE WHEN known.follows_policy THEN excluded.window_id ELSE known.window_id END,
    opens_at = CASE WHEN known.follows_policy THEN excluded.opens_at ELSE known.opens_at END,
    closes_at = CASE WHEN known.follows_policy THEN excluded.closes_at ELSE known.closes_at END,
    next_opens_at = CASE WHEN known.follows_policy THEN excluded.next_opens_at ELSE known.next_opens_at END,
    pay_seconds = CASE WHEN known.follows_policy THEN excluded.pay_seconds ELSE known.pay_seconds END
WHERE known.closed AND NOT known.closed_by_hand
    OR (known.office_name, known.city, known.province, known.timezone, known.starts_at, known.ends_at,
            known.return_times)
        IS DISTINCT FROM (excluded.office_name, excluded.city, excluded.province, excluded.timezone,
            excluded.starts_at, excluded.ends_at, excluded.return_times)
    OR NOT known.capacity_fixed AND known.capacity <> excluded.capacity
    OR known.follows_policy
        AND (known.window_id, known.opens_at, known.closes_at, known.next_opens_at, known.pay_seconds)
            IS DISTINCT FROM (excluded.window_id, excluded.opens_at, excluded.closes_at, excluded.next_opens_at,
                excluded.pay_seconds)
RETURNING slot_id;

-- close_unplanned_slots --
-- Close slots of these offices' days which the plan no longer holds. Returns their ids. $1 office_ids and $2 days, side by side, $3 slot_ids of the plan
UPDATE slot SET closed = true, version = version + 1
WHERE (office_id, date) IN (SELECT d.office_id, d.day FROM unnest($1::text[], $2::date[]) AS d (office_id, day))
    AND NOT closed AND slot_id <> ALL ($3::text[])
RETURNING slot_id;

-- open_slots --
-- Give the slots of an office's days another window. Returns their ids.
-- $1 JSON array of {office_id, window_id, first_day, last_day, opens_at, closes_at, next_opens_at, pay_seconds}
UPDATE slot SET
    version = slot.version + 1, follows_policy = false, window_id = w.window_id, opens_at = w.opens_at,
    closes_at = w.closes_at, next_opens_at = w.next_opens_at, pay_seconds = w.pay_seconds
FROM json_to_recordset($1::json) AS w (
    office_id text, window_id text, first_day date, last_day date, opens_at timestamptz, closes_at timestamptz,
    next_opens_at timestamptz, pay_seconds integer
)
WHERE slot.office_id = w.office_id AND slot.date BETWEEN w.first_day AND w.last_day AND NOT slot.closed
RETURNING slot_id;

-- read_slots --
-- Slots as quota is to know them: with as many places as can be sold. $1 slot_ids
SELECT slot_id, version, office_id, office_name, city, province, timezone, date, session, starts_at, ends_at, service,
    channel, on_sale AS capacity, opens_at, closes_at, next_opens_at, pay_seconds, closed, return_times
FROM slot
WHERE slot_id = ANY ($1::text[])
ORDER BY slot_id;

-- read_changed_visits --
-- Where and when, of the slots the caller does not know as they are now. $1 slot_ids, $2 the versions he knows, 0 for none
SELECT s.slot_id, s.version, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at,
    s.ends_at, s.service, s.channel
FROM unnest($1::text[], $2::integer[]) AS k (slot_id, version)
JOIN slot AS s USING (slot_id)
WHERE s.version <> k.version;

-- read_office_spans --
-- The different windows of every office's slots, as far as they can still interest anybody.
SELECT DISTINCT office_id, opens_at, closes_at
FROM slot
WHERE NOT closed AND closes_at > now() - interval '7 days';

-- read_now --
-- The time of the server that decides.
SELECT clock_timestamp();

-- begin_watermarks --
-- Lines nobody has seen begin at 0. $1 partitions, $2 epochs
INSERT INTO partition_watermark (partition, epoch, seq)
SELECT DISTINCT partition, epoch, 0 FROM unnest($1::integer[], $2::integer[]) AS l (partition, epoch)
ORDER BY partition, epoch
ON CONFLICT DO NOTHING;

-- lock_watermarks --
-- The recorded numbers of these lines, locked until the transaction ends, in one order for everybody so that no two
-- wait for each other. $1 partitions, $2 epochs
SELECT w.partition, w.epoch, w.seq
FROM partition_watermark AS w
WHERE (w.partition, w.epoch) IN (
    SELECT l.partition, l.epoch FROM unnest($1::integer[], $2::integer[]) AS l (partition, epoch)
)
ORDER BY w.partition, w.epoch
FOR UPDATE OF w;

-- move_watermarks --
-- Everything up to these numbers is recorded. $1 partitions, $2 epochs, $3 seqs
UPDATE partition_watermark AS w SET seq = m.seq
FROM unnest($1::integer[], $2::integer[], $3::bigint[]) AS m (partition, epoch, seq)
WHERE (w.partition, w.epoch) = (m.partition, m.epoch) AND w.seq < m.seq;

-- read_watermarks --
-- How far each partition is recorded, in its newest epoch.
SELECT DISTINCT ON (partition) partition, epoch, seq
FROM partition_watermark
WHERE seq > 0
ORDER BY partition, epoch DESC;

-- record_bookings --
-- Record holds that may be known or not free: booking, seats and people, once each. Per new booking it says which slot
-- it is for and whether it got every seat and every person; if not, the caller takes it back. $1 JSON array of {booking_id, …}, $2 state to begin in
WITH told AS (
    SELECT booking_id, account_id, slot_id, seats, person_ids, pay_by, held_at, partition, epoch, seq, reason
    FROM json_to_recordset($1::json) AS t (
        booking_id text, account_id text, slot_id text, seats integer[], person_ids text[], pay_by timestamptz,
        held_at timestamptz, partition integer, epoch integer, seq bigint, reason text
    )
), recorded AS (
    INSERT INTO booking
        (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at, partition, epoch, seq, reason)
    SELECT booking_id, account_id, slot_id, seats, person_ids, $2, pay_by, held_at, partition, epoch, seq, reason
    FROM told
    ORDER BY booking_id
    ON CONFLICT (booking_id) DO NOTHING
    RETURNING *
), seated AS (
    INSERT INTO booking_seat (booking_id, slot_id, seat)
    SELECT booking_id, slot_id, unnest(seats) AS seat FROM recorded WHERE $2 = 'held'
    ORDER BY slot_id, seat
    ON CONFLICT DO NOTHING
    RETURNING booking_id
), engaged AS (
    INSERT INTO booking_person (booking_id, person_id)
    SELECT booking_id, unnest(person_ids) AS person_id FROM recorded WHERE $2 = 'held'
    ORDER BY person_id
    ON CONFLICT DO NOTHING
    RETURNING booking_id
)
SELECT r.*, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at, s.ends_at,
    s.service, s.channel,
    cardinality(r.seats) = coalesce(seats.taken, 0) AS has_seats,
    cardinality(r.person_ids) = coalesce(persons.taken, 0) AS has_persons
FROM recorded AS r
LEFT JOIN slot AS s USING (slot_id)
LEFT JOIN (SELECT booking_id, count(*) AS taken FROM seated GROUP BY booking_id) AS seats USING (booking_id)
LEFT JOIN (SELECT booking_id, count(*) AS taken FROM engaged GROUP BY booking_id) AS persons USING (booking_id)
ORDER BY r.partition, r.epoch, r.seq;

-- lock_bookings --
-- Bookings as they are now, locked in one order until the transaction ends. $1 booking_ids
SELECT b.*, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at, s.ends_at,
    s.service, s.channel
FROM booking AS b
LEFT JOIN slot AS s USING (slot_id)
WHERE b.booking_id = ANY ($1::text[])
ORDER BY b.booking_id
FOR UPDATE OF b;

-- move_bookings --
-- One step for many bookings, if they are still where the caller saw them; what the step learns is kept, what the new
-- state no longer holds is freed. Returns the bookings after the step.
-- $1 state, $2 states it may come from, $3 JSON array of {booking_id, what was learned …}, $4 keeps places, $5 keeps persons
WITH asked AS (
    SELECT booking_id, billing_code, virtual_account, amount_rupiah, ntpn, paid_at, reason, moved_to, pick_up_on,
        blocked_until, pardoned_at
    FROM json_to_recordset($3::json) AS a (
        booking_id text, billing_code text, virtual_account text, amount_rupiah bigint, ntpn text,
        paid_at timestamptz, reason text, moved_to text, pick_up_on date, blocked_until timestamptz,
        pardoned_at timestamptz
    )
), moved AS (
    UPDATE booking AS b SET
        state = $1, version = b.version + 1, changed_at = clock_timestamp(),
        billing_code = coalesce(a.billing_code, b.billing_code),
        virtual_account = coalesce(a.virtual_account, b.virtual_account),
        amount_rupiah = coalesce(a.amount_rupiah, b.amount_rupiah),
        ntpn = coalesce(a.ntpn, b.ntpn), paid_at = coalesce(a.paid_at, b.paid_at),
        reason = coalesce(a.reason, b.reason), moved_to = coalesce(a.moved_to, b.moved_to),
        pick_up_on = coalesce(a.pick_up_on, b.pick_up_on), blocked_until = coalesce(a.blocked_until, b.blocked_until),
        pardoned_at = coalesce(a.pardoned_at, b.pardoned_at)
    FROM asked AS a
    WHERE b.booking_id = a.booking_id AND b.state = ANY ($2::text[])
    RETURNING b.*
), unseated AS (
    DELETE FROM booking_seat AS s
    USING moved AS m CROSS JOIN unnest(m.seats) AS taken (seat)
    WHERE NOT $4::boolean AND (s.slot_id, s.seat, s.booking_id) = (m.slot_id, taken.seat, m.booking_id)
), disengaged AS (
    DELETE FROM booking_person AS p
    USING moved AS m CROSS JOIN unnest(m.person_ids) AS busy (person_id)
    WHERE NOT $5::boolean AND (p.person_id, p.booking_id) = (busy.person_id, m.booking_id)
)
SELECT m.*, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at, s.ends_at,
    s.service, s.channel
FROM moved AS m
LEFT JOIN slot AS s USING (slot_id)
ORDER BY m.booking_id;

-- read_next_deadline --
-- Seconds until the next unpaid booking is due (negative when one is overdue), or null.
SELECT extract(epoch FROM min(pay_by) - clock_timestamp())::float8 FROM booking_unpaid;

-- read_booking --
-- One booking of an account with its history. $1 booking_id, $2 account_id
SELECT b.*, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at, s.ends_at,
    s.service, s.channel,
    (SELECT json_agg(json_build_object('state', h.state, 'at', h.at) ORDER BY h.version)
        FROM booking_history AS h WHERE h.booking_id = b.booking_id)::text AS history
FROM booking AS b
LEFT JOIN slot AS s USING (slot_id)
WHERE b.booking_id = $1 AND b.account_id = $2;

-- read_bookings --
-- An account's bookings, newest first, from behind a place on. $1 account_id, $2 held before, $3 and id before, $4 how many
SELECT b.*, s.office_id, s.office_name, s.city, s.province, s.timezone, s.date, s.session, s.starts_at, s.ends_at,
    s.service, s.channel,
    (SELECT json_agg(json_build_object('state', h.state, 'at', h.at) ORDER BY h.version)
        FROM booking_history AS h WHERE h.booking_id = b.booking_id)::text AS history
FROM booking AS b
LEFT JOIN slot AS s USING (slot_id)
WHERE b.account_id = $1 AND (b.held_at, b.booking_id) < ($2::timestamptz, $3::text)
ORDER BY b.held_at DESC, b.booking_id DESC
LIMIT $4;

-- export_slots --
-- Every slot as one JSON line.
SELECT json_build_object(
    'kind', 'slot', 'slot_id', slot_id, 'version', version, 'office_id', office_id, 'date', date,
    'session', session, 'service', service, 'channel', channel, 'capacity', on_sale, 'closed', closed,
    'opens_at', opens_at, 'closes_at', closes_at, 'pay_seconds', pay_seconds)::text
FROM slot
ORDER BY slot_id;

-- export_bookings --
-- Every booking as one JSON line, with the seats and persons the indexes hold for it beside those it says it has.
SELECT json_build_object(
    'kind', 'booking', 'booking_id', booking_id, 'account_id', account_id, 'slot_id', slot_id,
    'seats', seats, 'person_ids', person_ids, 'state', state, 'version', version, 'pay_by', pay_by,
    'held_at', held_at, 'changed_at', changed_at, 'partition', partition, 'epoch', epoch, 'seq', seq,
    'billing_code', billing_code, 'amount_rupiah', amount_rupiah, 'ntpn', ntpn, 'reason', reason,
    'wished_for', (SELECT w.why FROM wish AS w WHERE w.booking_id = b.booking_id),
    'active_seats', coalesce(s.active, '[]'), 'active_person_ids', coalesce(p.active, '[]'),
    'history', (SELECT json_agg(json_build_object('state', h.state, 'version', h.version, 'at', h.at)
        ORDER BY h.version) FROM booking_history AS h WHERE h.booking_id = b.booking_id))::text
FROM booking AS b
LEFT JOIN (
    SELECT booking_id, json_agg(seat ORDER BY seat) AS active FROM booking_seat GROUP BY booking_id
) AS s USING (booking_id)
LEFT JOIN (
    SELECT booking_id, json_agg(person_id ORDER BY person_id) AS active
    FROM booking_person GROUP BY booking_id
) AS p USING (booking_id)
ORDER BY booking_id;

-- export_watermarks --
-- Every recorded number as one JSON line.
SELECT json_build_object('kind', 'watermark', 'partition', partition, 'epoch', epoch, 'seq', seq)::text
FROM partition_watermark
ORDER BY partition, epoch;

-- snapshot_bookings --
-- Bookings that keep places, for COPY: what quota needs to hold them again. $1 states that keep places, $2 that keep persons
SELECT 'b', booking_id, account_id, slot_id, array_to_string(seats, ','), array_to_string(person_ids, ','),
    CASE WHEN state IN ('held', 'awaiting_payment') THEN 'held' ELSE 'confirmed' END,
    round(date_part('epoch', held_at) * 1000)::bigint, round(date_part('epoch', pay_by) * 1000)::bigint,
    (state = ANY ($2::text[]))::integer
FROM booking
WHERE state = ANY ($1::text[])

-- snapshot_ended --
-- Bookings that ended within some days, for COPY: their ids are never held again, and asking again is answered.
-- $1 states that keep places, $2 days
SELECT 'b', booking_id, account_id, slot_id, array_to_string(seats, ','), array_to_string(person_ids, ','), 'released',
    round(date_part('epoch', held_at) * 1000)::bigint, round(date_part('epoch', pay_by) * 1000)::bigint, 0
FROM booking
WHERE NOT state = ANY ($1::text[]) AND changed_at > now() - make_interval(days => $2)

-- read_lines --
-- Every recorded number of every epoch.
SELECT partition, epoch, seq FROM partition_watermark ORDER BY partition, epoch;

-- read_slot_ids --
-- Every slot there is.
SELECT slot_id FROM slot ORDER BY slot_id;
