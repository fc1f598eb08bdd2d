-- read_invoice_by_code --
-- The invoice of a code as it is now. $1 billing_code
SELECT booking_id, account_id, billing_code, virtual_account, amount_rupiah, lines, pay_by_ms, timezone, state
FROM invoice WHERE billing_code = $1;

-- insert_unconfirmed --
-- A report waits until its bank is asked again. $1 bank, $2 external_id, $3 body_sha256, $4 billing_code, $5 amount as told, $6 currency, $7 ntpn, $8 journal_number, $9 paid_at_ms, $10 seconds until then
INSERT INTO unconfirmed
    (bank, external_id, body_sha256, billing_code, amount_value, currency, ntpn, journal_number, paid_at_ms, asked, ask_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, clock_timestamp() + make_interval(secs => $10::integer));

-- claim_unconfirmed --
-- Reports to ask about now; the next time for each is set first, so that nobody else asks and a crash only delays. $1 rows at most, $2 longest pause in seconds
UPDATE unconfirmed SET
    asked = unconfirmed.asked + 1,
    ask_at = clock_timestamp() + make_interval(secs => least($2::integer, 2 ^ least(unconfirmed.asked + 1, 20)))
FROM (
    SELECT bank, external_id FROM unconfirmed WHERE ask_at <= clock_timestamp()
    ORDER BY ask_at LIMIT $1::integer FOR UPDATE SKIP LOCKED
) AS due
WHERE unconfirmed.bank = due.bank AND unconfirmed.external_id = due.external_id
RETURNING unconfirmed.bank, unconfirmed.external_id, body_sha256, billing_code, amount_value, currency, ntpn,
    journal_number, paid_at_ms, asked;

-- count_unconfirmed --
-- How many reports wait.
SELECT count(*) FROM unconfirmed;

-- is_unconfirmed --
-- Whether a report still waits. $1 bank, $2 external_id
SELECT EXISTS (SELECT 1 FROM unconfirmed WHERE bank = $1 AND external_id = $2);

-- is_journal_unconfirmed --
-- Whether a report of a code under a journal number waits. $1 billing_code, $2 journal_number
SELECT EXISTS (SELECT 1 FROM unconfirmed WHERE billing_code = $1 AND journal_number = $2);

-- delete_unconfirmed --
-- A report waits no longer. $1 bank, $2 external_id
DELETE FROM unconfirmed WHERE bank = $1 AND external_id = $2;

-- update_callback --
-- A notification that was unconfirmed has its end; repeated, it is answered with that. $1 bank, $2 external_id, $3 verdict
UPDATE callback_seen SET verdict = $3 WHERE bank = $1 AND external_id = $2;

-- resolve_doubts --
-- Money that could not be confirmed has come after all. $1 ntpn
UPDATE exception SET resolved_at = clock_timestamp() WHERE ntpn = $1 AND reason = 'unconfirmed' AND resolved_at IS NULL;

-- find_sandbox_payment --
-- What the sandbox bank's books say. $1 billing_code, $2 journal_number
SELECT amount_rupiah, ntpn, journal_number, external_id, paid_at_ms
FROM sandbox_bank_ledger WHERE billing_code = $1 AND journal_number = $2;
