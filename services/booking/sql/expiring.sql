-- expire_overdue --
-- End unpaid bookings whose deadline has passed by this server's clock, oldest first, and free what they hold; those
-- another sweeper or a payment has in hand are left to it. Returns what is told of them, once all are ended.
-- $1 how many at most
WITH due AS MATERIALIZED (
    SELECT ctid AS place
    FROM booking
    WHERE pay_by BETWEEN (SELECT min(pay_by) FROM booking_unpaid) AND now() AND state IN ('held', 'awaiting_payment')
    ORDER BY pay_by ASC
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE booking AS b SET state = 'expired', version = b.version + 1, changed_at = clock_timestamp()
    FROM due
    WHERE b.ctid = due.place AND b.state IN ('held', 'awaiting_payment')
    RETURNING b.booking_id, b.account_id, b.slot_id, b.seats, b.person_ids, b.version, b.pay_by, b.changed_at
), seat AS MATERIALIZED (
    SELECT booking_id, slot_id, unnest(seats) AS seat FROM ended
), person AS MATERIALIZED (
    SELECT booking_id, unnest(person_ids) AS person_id FROM ended
), unseated AS (
    DELETE FROM booking_seat AS s
    USING seat AS e
    WHERE (s.slot_id, s.seat, s.booking_id) = (e.slot_id, e.seat, e.booking_id)
), disengaged AS (
    DELETE FROM booking_person AS p
    USING person AS e
    WHERE (p.person_id, p.booking_id) = (e.person_id, e.booking_id)
)
SELECT booking_id, account_id, slot_id, seats, person_ids, version, pay_by, changed_at FROM ended ORDER BY changed_at;

-- step_row_by_row --
-- Until the transaction ends, look rows up one by one: a sweep costs what it ends, however large the tables are, and
-- however few rows the planner expects. What is ended at once stays in memory.
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_memoize', 'off', true),
    set_config('work_mem', '64MB', true);
