-- read_paid --
-- The payment that stands for a booking, its own before one that moved to it; where it moved on, whereto. $1 booking_id
SELECT p.ntpn, i.account_id, p.amount_rupiah, p.moved_to
FROM payment AS p JOIN invoice AS i ON i.booking_id = p.booking_id
WHERE coalesce(p.moved_to, p.booking_id) = $1 OR p.booking_id = $1
ORDER BY coalesce(p.moved_to, p.booking_id) = $1 DESC, p.moved_to NULLS FIRST
LIMIT 1
FOR UPDATE OF p;

-- move_payment --
-- The money of a booking is another's from now on. $1 booking_id, $2 the other booking_id
UPDATE payment SET moved_to = $2 WHERE coalesce(moved_to, booking_id) = $1;

-- insert_refund --
-- Ask for a refund, unless this one is asked for, or another of the same payment is not rejected. $1 refund_id, $2 booking_id, $3 ntpn, $4 account_id, $5 rupiah paid, $6 rupiah, $7 reason, $8 requested by
INSERT INTO refund (refund_id, booking_id, ntpn, account_id, paid_rupiah, amount_rupiah, reason, requested_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING refund_id;

-- insert_refund_of_exception --
-- Ask for all the money of an exception back, unless a refund under its NTPN is not rejected. $1 refund_id, $2 its number, $3 reason, $4 requested by
INSERT INTO refund
    (refund_id, booking_id, ntpn, account_id, paid_rupiah, amount_rupiah, reason, requested_by, exception_number)
SELECT $1, i.booking_id, e.ntpn, i.account_id, e.amount_rupiah, e.amount_rupiah, $3, $4, e.number
FROM exception AS e LEFT JOIN invoice AS i ON i.billing_code = e.billing_code
WHERE e.number = $2::bigint
ON CONFLICT DO NOTHING
RETURNING refund_id;

-- is_given_back --
-- Whether money of an NTPN that was no payment goes back, or has gone. $1 ntpn
SELECT EXISTS (SELECT FROM refund WHERE ntpn = $1 AND exception_number IS NOT NULL AND state <> 'rejected');

-- lock_refund --
-- Be the only one to decide on a refund until the transaction ends. $1 refund_id
SELECT FROM refund WHERE refund_id = $1 FOR UPDATE;

-- read_refund --
-- A refund. $1 refund_id
SELECT * FROM refund_told WHERE refund_id = $1;

-- read_refund_of_booking --
-- The newest refund of an account's booking, that of its payment before one of other money under its code. $1 booking_id, $2 account_id
SELECT * FROM refund_told WHERE booking_id = $1 AND account_id = $2
ORDER BY exception_number IS NULL DESC, requested_at DESC LIMIT 1;

-- read_refunds --
-- Refunds of one state, oldest first, after a given one. $1 state, $2 refund_id or null, $3 how many
SELECT * FROM refund_told
WHERE state = $1 AND ($2::text IS NULL OR (requested_at, refund_id) > (
    SELECT after.requested_at, after.refund_id FROM refund AS after WHERE after.refund_id = $2
))
ORDER BY requested_at, refund_id
LIMIT $3;

-- approve_refund --
-- A second person agrees. $1 refund_id, $2 who
UPDATE refund SET state = 'approved', approved_by = $2, approved_at = clock_timestamp()
WHERE refund_id = $1 AND state = 'requested';

-- reject_refund --
-- The money stays. $1 refund_id, $2 who
UPDATE refund SET state = 'rejected', rejected_by = $2, rejected_at = clock_timestamp()
WHERE refund_id = $1 AND state IN ('requested', 'approved');

-- read_live_refunds --
-- Refunds of a booking's payment that can still be rejected. $1 booking_id
SELECT refund_id FROM refund
WHERE booking_id = $1 AND exception_number IS NULL AND state IN ('requested', 'approved')
ORDER BY refund_id FOR UPDATE;

-- take_approved_refunds --
-- The refunds approved first, held until the transaction ends. $1 how many
SELECT refund_id FROM refund WHERE state = 'approved' ORDER BY approved_at, refund_id LIMIT $1 FOR UPDATE;

-- insert_refund_batch --
-- A file for the treasury; returns when. $1 batch_id
INSERT INTO refund_batch (batch_id) VALUES ($1)
RETURNING (extract(epoch FROM reported_at) * 1000)::bigint;

-- report_refunds --
-- These are in a file. $1 batch_id, $2 refund_ids
UPDATE refund SET state = 'reported', batch_id = $1 WHERE refund_id = ANY ($2::text[]) AND state = 'approved';

-- read_refund_batch --
-- What a file holds, always in the same order. $1 batch_id
SELECT * FROM refund_told WHERE batch_id = $1 ORDER BY refund_id;

-- read_oldest_refunds --
-- Seconds since the first refund that waits was asked for, or was approved.
SELECT state, extract(epoch FROM clock_timestamp() - min(coalesce(approved_at, requested_at)))::double precision AS seconds
FROM refund WHERE state IN ('requested', 'approved') GROUP BY state;
