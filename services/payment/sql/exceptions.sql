-- read_kept_report --
-- A report that is no payment. $1 number
SELECT number, bank, external_id, reason, billing_code, amount_value, currency, ntpn, journal_number, paid_at_ms,
       resolved_at IS NOT NULL AS is_resolved
FROM exception WHERE number = $1::bigint;

-- lock_exception --
-- Be the only one to end an exception until the transaction ends. $1 number
SELECT FROM exception WHERE number = $1::bigint FOR UPDATE;

-- read_evidence --
-- What is known of the money of an NTPN. $1 ntpn, $2 bank, $3 billing_code, $4 rupiah or null, $5 its day at the bank
SELECT CASE
           WHEN bool_or(l.billing_code = $3 AND l.amount_rupiah = $4::bigint) THEN 'same'
           WHEN count(l) > 0 THEN 'other'
           WHEN EXISTS (
               SELECT FROM settlement_run WHERE bank = $2 AND settled_on = $5::date AND finished_at IS NOT NULL
           ) THEN 'absent'
           ELSE 'not_yet'
       END AS told,
       EXISTS (SELECT FROM payment WHERE ntpn = $1) AS is_taken,
       EXISTS (SELECT FROM refund WHERE ntpn = $1 AND state <> 'rejected') AS is_given_back
FROM settlement_line AS l JOIN settlement_run AS r ON r.run_id = l.run_id
WHERE l.ntpn = $1 AND r.bank = $2;

-- end_exception --
-- An exception has its end. $1 number, $2 end, $3 who, $4 why
UPDATE exception SET ended = $2, resolved_by = $3, resolution = $4, resolved_at = clock_timestamp()
WHERE number = $1::bigint;

-- reopen_exception --
-- The end of an exception came to nothing. $1 number
UPDATE exception SET ended = NULL, resolved_by = NULL, resolution = NULL, resolved_at = NULL WHERE number = $1::bigint;

-- read_exceptions --
-- Reports that are no payment, of one state, a page in the order they came. $1 numbers above, $2 rows at most, $3 state, $4 one number or null
SELECT * FROM exception_told
WHERE number > $1::bigint AND ($3::text IS NULL OR state = $3) AND ($4::bigint IS NULL OR number = $4)
ORDER BY number LIMIT $2::integer;

-- count_open_exceptions --
-- Reports nobody has resolved, and the seconds since the first of them came.
SELECT count(*) AS reports,
       coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::double precision AS oldest_seconds
FROM exception WHERE resolved_at IS NULL;
