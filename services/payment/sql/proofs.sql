-- lock_attempts --
-- Be the only one counting an account's attempts until the transaction ends. $1 account_id
SELECT pg_advisory_xact_lock(hashtextextended('proof ' || $1, 0));

-- count_attempts --
-- Attempts of the window, and the seconds until the oldest of each leaves it. $1 account_id, $2 booking_id, $3 window in seconds, $4 idempotency_key, $5 journal_number
SELECT
    count(*) AS of_account,
    count(*) FILTER (WHERE booking_id = $2) AS of_booking,
    count(*) FILTER (WHERE booking_id = $2 AND idempotency_key = $4 AND journal_number = $5) AS of_request,
    ceil(extract(epoch FROM min(attempted_at) - clock_timestamp()) + $3::integer)::integer AS account_wait_seconds,
    ceil(extract(epoch FROM min(attempted_at) FILTER (WHERE booking_id = $2) - clock_timestamp()) + $3::integer)::integer
        AS booking_wait_seconds
FROM proof_attempt
WHERE account_id = $1 AND attempted_at > clock_timestamp() - make_interval(secs => $3::integer);

-- insert_attempt --
-- Count an attempt; the same request again counts once. $1 account_id, $2 booking_id, $3 idempotency_key, $4 journal_number
INSERT INTO proof_attempt (account_id, booking_id, idempotency_key, journal_number)
VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, booking_id, idempotency_key, journal_number) DO UPDATE SET attempted_at = clock_timestamp();

-- delete_attempt --
-- It was not wrong. $1 account_id, $2 booking_id, $3 idempotency_key, $4 journal_number
DELETE FROM proof_attempt
WHERE account_id = $1 AND booking_id = $2 AND idempotency_key = $3 AND journal_number = $4;

-- delete_attempts --
-- Forget attempts no limit looks at any more. $1 older than, in seconds, $2 rows at most
DELETE FROM proof_attempt WHERE ctid IN (
    SELECT ctid FROM proof_attempt
    WHERE attempted_at < clock_timestamp() - make_interval(secs => $1::integer) LIMIT $2::integer
);

-- read_payment_of_booking --
-- The payment of a booking. $1 booking_id
SELECT ntpn, bank, journal_number, billing_code, booking_id, amount_rupiah, paid_at_ms, told_code FROM payment WHERE booking_id = $1;
