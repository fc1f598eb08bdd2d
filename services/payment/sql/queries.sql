-- take_invoice_numbers --
-- Running numbers, one a row. $1 how many
SELECT nextval('invoice_number') AS number FROM generate_series(1, $1::integer);

-- insert_invoices --
-- Issue invoices; a booking that has one keeps it. Returns the bookings that got one. $1 booking_ids, $2 account_ids, $3 billing codes, $4 virtual accounts, $5 rupiah, $6 lines (JSON texts), $7 pay_by_ms, $8 time zones, $9 states
INSERT INTO invoice
    (booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines, pay_by_ms, timezone, state)
SELECT booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines::jsonb, pay_by_ms, timezone, state
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::text[], $9::text[]
) AS i (booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines, pay_by_ms, timezone, state)
ON CONFLICT (booking_id) DO NOTHING
RETURNING booking_id;

-- close_invoices --
-- No money is expected any more; what is paid stays paid. Rows are locked in order of their id. $1 booking_ids
UPDATE invoice SET state = 'closed'
WHERE booking_id IN (
    SELECT booking_id FROM invoice WHERE booking_id = ANY ($1::text[]) AND state = 'open' ORDER BY booking_id FOR UPDATE
);

-- read_invoice --
-- An account's invoice for a booking. $1 booking_id, $2 account_id
SELECT booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines, pay_by_ms, timezone, state
FROM invoice WHERE booking_id = $1 AND account_id = $2;

-- read_amount --
-- What a code costs. $1 billing_code
SELECT amount_rupiah FROM invoice WHERE billing_code = $1;

-- lock_report --
-- Be the only one working on a notification, and on an NTPN, until the transaction ends. $1 bank and external id in one text, $2 ntpn
SELECT pg_advisory_xact_lock(hashtextextended('callback ' || $1, 0)),
       pg_advisory_xact_lock(hashtextextended('ntpn ' || $2, 0));

-- read_callback --
-- An answered notification. $1 bank, $2 external_id
SELECT body_sha256, verdict FROM callback_seen WHERE bank = $1 AND external_id = $2;

-- insert_callback --
-- A notification is answered. $1 bank, $2 external_id, $3 body_sha256, $4 verdict
INSERT INTO callback_seen (bank, external_id, body_sha256, verdict) VALUES ($1, $2, $3, $4);

-- delete_callbacks --
-- Forget notifications too old to pass the clock check; the NTPN still tells a repeated payment. $1 older than (interval), $2 rows at most
DELETE FROM callback_seen
WHERE (bank, external_id) IN (
    SELECT bank, external_id FROM callback_seen WHERE seen_at < now() - $1::interval ORDER BY seen_at LIMIT $2
);

-- lock_invoice --
-- The invoice of a code, held until the transaction ends. $1 billing_code
SELECT booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines, pay_by_ms, timezone, state
FROM invoice WHERE billing_code = $1 FOR UPDATE;

-- read_payment --
-- The payment of an NTPN. $1 ntpn
SELECT ntpn, bank, journal_number, billing_code, booking_id, amount_rupiah, paid_at_ms, told_code FROM payment WHERE ntpn = $1;

-- insert_payment --
-- Money came. $1 ntpn, $2 bank, $3 journal_number, $4 billing_code, $5 booking_id, $6 rupiah, $7 paid_at_ms, $8 the code the bank knows it by or null
INSERT INTO payment (ntpn, bank, journal_number, billing_code, booking_id, amount_rupiah, paid_at_ms, told_code)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- mark_paid --
-- The invoice is paid, also when it was closed. $1 booking_id
UPDATE invoice SET state = 'paid' WHERE booking_id = $1;

-- insert_exception --
-- A report that is no payment, unless the same is kept under another id and open, or its money goes back. $1 bank, $2 external_id, $3 reason, $4 billing_code, $5 amount as told, $6 currency, $7 ntpn, $8 journal_number, $9 paid_at_ms
INSERT INTO exception
    (bank, external_id, reason, billing_code, amount_value, currency, ntpn, journal_number, paid_at_ms)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::bigint
WHERE NOT EXISTS (
    SELECT FROM exception
    WHERE ntpn = $7 AND bank = $1 AND reason = $3 AND billing_code = $4 AND amount_value = $5 AND currency = $6
        AND (resolved_at IS NULL OR ended = 'refund')
)
ON CONFLICT DO NOTHING;

-- remember_sandbox_payment --
-- Write into the sandbox bank's books, or read what stands there. $1 billing_code, $2 rupiah, $3 ntpn, $4 journal_number, $5 external_id, $6 paid_at_ms
INSERT INTO sandbox_bank_ledger (billing_code, amount_rupiah, ntpn, journal_number, external_id, paid_at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (billing_code, amount_rupiah) DO UPDATE SET ntpn = sandbox_bank_ledger.ntpn
RETURNING ntpn, journal_number, external_id, paid_at_ms;

-- export_invoices --
-- Every invoice, for the audit. In order of booking.
SELECT booking_id, account_id, billing_code, amount_rupiah, pay_by_ms, state FROM invoice ORDER BY booking_id;

-- export_payments --
-- Every payment, for the audit. In order of booking.
SELECT booking_id, billing_code, ntpn, bank, journal_number, amount_rupiah, paid_at_ms FROM payment ORDER BY booking_id;

-- export_exceptions --
-- Every report a person has to look at. In the order they came.
SELECT bank, external_id, reason, billing_code, amount_value, currency, ntpn AS reported_ntpn, journal_number, paid_at_ms,
       CASE WHEN resolved_at IS NULL THEN 'open' ELSE coalesce(ended, 'matched') END AS state
FROM exception ORDER BY recorded_at, bank, external_id;
