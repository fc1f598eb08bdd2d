-- read_now_ms --
-- What time it is, by the server that decides.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- insert_settlement_run --
-- Begin with a report; returns nothing where it was begun before. $1 run_id, $2 bank, $3 day, $4 lines
INSERT INTO settlement_run (run_id, bank, settled_on, lines) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING run_id;

-- read_settlement_chunk --
-- The next lines nobody has judged. $1 run_id, $2 how many
SELECT line_number, ntpn, billing_code, journal_number, amount_rupiah, paid_at_ms, repeats, false AS says_the_same
FROM settlement_line WHERE run_id = $1 AND outcome IS NULL ORDER BY line_number LIMIT $2;

-- read_payments --
-- Payments by NTPN. $1 ntpns
SELECT ntpn, bank, journal_number, billing_code, booking_id, amount_rupiah, paid_at_ms, told_code
FROM payment WHERE ntpn = ANY ($1::text[]);

-- judge_settlement_lines --
-- What lines are to us; what is judged stays so. $1 run_id, $2 line numbers, $3 outcomes, $4 verdicts or null (arrays of one length)
UPDATE settlement_line AS l SET outcome = j.outcome, verdict = j.verdict
FROM unnest($2::integer[], $3::text[], $4::text[]) AS j (line_number, outcome, verdict)
WHERE l.run_id = $1 AND l.line_number = j.line_number AND l.outcome IS NULL;

-- lock_settlement_run --
-- Be the only one to finish a run; returns whether it is finished. $1 run_id
SELECT finished_at IS NOT NULL FROM settlement_run WHERE run_id = $1 FOR UPDATE;

-- insert_missing_there --
-- Payments of the bank and day that the report does not name. $1 run_id, $2 bank, $3 first moment, $4 first moment of the next day (ms)
INSERT INTO settlement_missing_there (run_id, ntpn, booking_id, amount_rupiah)
SELECT $1, p.ntpn, p.booking_id, p.amount_rupiah
FROM payment AS p
WHERE p.bank = $2 AND p.paid_at_ms >= $3 AND p.paid_at_ms < $4
    AND NOT EXISTS (SELECT FROM settlement_line AS l WHERE l.run_id = $1 AND l.ntpn = p.ntpn)
ON CONFLICT DO NOTHING;

-- finish_settlement_run --
-- Every line is judged. $1 run_id
UPDATE settlement_run SET finished_at = clock_timestamp() WHERE run_id = $1;

-- count_settlement --
-- How a run came out. `taken`: of those missing here, became payments. $1 run_id
SELECT r.run_id, r.bank, r.settled_on::text AS settled_on, r.lines,
       count(*) FILTER (WHERE l.outcome = 'matched') AS matched,
       count(*) FILTER (WHERE l.outcome = 'missing_here') AS missing_here,
       count(*) FILTER (WHERE l.verdict = 'accepted') AS taken,
       (SELECT count(*) FROM settlement_missing_there AS t WHERE t.run_id = r.run_id) AS missing_there,
       count(*) FILTER (WHERE l.outcome = 'amount_differs') AS amount_differs,
       count(*) FILTER (WHERE l.outcome = 'details_differ') AS details_differ,
       count(*) FILTER (WHERE l.outcome = 'duplicate') AS duplicate
FROM settlement_run AS r LEFT JOIN settlement_line AS l ON l.run_id = r.run_id
WHERE r.run_id = $1
GROUP BY r.run_id;

-- read_differences --
-- What did not match, in the order of the report, then what the report does not name. $1 run_id, $2 how many
SELECT * FROM (
    SELECT line_number, ntpn, billing_code, amount_rupiah, outcome, verdict
    FROM settlement_line WHERE run_id = $1 AND outcome <> 'matched'
    UNION ALL
    SELECT NULL, t.ntpn, p.billing_code, t.amount_rupiah, 'missing_there', NULL
    FROM settlement_missing_there AS t JOIN payment AS p ON p.ntpn = t.ntpn
    WHERE t.run_id = $1
) AS differences
ORDER BY line_number NULLS LAST, ntpn
LIMIT $2;
