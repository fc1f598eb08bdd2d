-- upsert_contacts --
-- Know addresses; the newest news of an account wins. $1 account_ids, $2 e-mails, $3 locales, $4 at_ms (arrays of one length, an account once)
INSERT INTO contact (account_id, email, locale, at_ms)
SELECT account_id, email, locale, at_ms
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS c (account_id, email, locale, at_ms)
ORDER BY account_id
ON CONFLICT (account_id) DO UPDATE SET email = excluded.email, locale = excluded.locale, at_ms = excluded.at_ms
WHERE contact.at_ms <= excluded.at_ms;

-- insert_messages --
-- Queue mails; the same mail is queued once. $1 message_ids, $2 account_ids, $3 booking_ids, $4 templates, $5 payloads (JSON texts)
INSERT INTO message (message_id, account_id, booking_id, template, payload)
SELECT message_id, account_id, booking_id, template, payload::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    AS m (message_id, account_id, booking_id, template, payload)
ON CONFLICT (message_id) DO NOTHING;

-- upsert_tickets --
-- Keep the newest version of bookings. $1 booking_ids, $2 account_ids, $3 states, $4 versions, $5 bookings (JSON texts; a booking once)
INSERT INTO ticket (booking_id, account_id, state, version, booking)
SELECT booking_id, account_id, state, version, booking::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[])
    AS t (booking_id, account_id, state, version, booking)
ORDER BY booking_id
ON CONFLICT (booking_id) DO UPDATE
SET account_id = excluded.account_id, state = excluded.state, version = excluded.version, booking = excluded.booking
WHERE ticket.version < excluded.version;

-- read_ticket --
-- An account's booking as last heard. $1 booking_id, $2 account_id
SELECT booking FROM ticket WHERE booking_id = $1 AND account_id = $2;

-- any_due --
-- Whether there is a mail to send now, to somebody whose address is known.
SELECT EXISTS (
    SELECT 1 FROM message JOIN contact USING (account_id)
    WHERE state IN ('queued', 'sending') AND due_at <= now()
);

-- claim_messages --
-- Take mails to send, for as long as a lease lasts. One found in `sending` outlived its lease: it is in doubt. $1 rows at most, $2 lease (interval)
WITH due AS (
    SELECT message_id, state = 'sending' AS in_doubt, email, locale
    FROM message JOIN contact USING (account_id)
    WHERE state IN ('queued', 'sending') AND due_at <= now()
    ORDER BY due_at
    LIMIT $1
    FOR UPDATE OF message SKIP LOCKED
)
UPDATE message AS m
SET state = 'sending', attempts = m.attempts + 1, due_at = now() + $2::interval
FROM due
WHERE m.message_id = due.message_id
RETURNING m.message_id, m.account_id, m.booking_id, m.template, m.payload, m.attempts, m.tries,
    due.in_doubt, due.email, due.locale;

-- mark_sent --
-- The relay has it; a link that opens an account is kept no longer than needed. $1 message_id, $2 attempts
UPDATE message SET state = 'sent', sent_at = now(), reason = NULL, payload = payload - 'activation_token'
WHERE message_id = $1 AND state = 'sending' AND attempts = $2;

-- mark_refused --
-- The relay has it not, for sure: try again later. $1 message_id, $2 attempts, $3 wait (interval), $4 reason
UPDATE message SET state = 'queued', tries = tries + 1, due_at = now() + $3::interval, reason = $4
WHERE message_id = $1 AND state = 'sending' AND attempts = $2;

-- mark_unknown --
-- Nobody knows whether the relay has it: it stays in `sending` until its lease ends. $1 message_id, $2 attempts, $3 reason
UPDATE message SET tries = tries + 1, reason = $3
WHERE message_id = $1 AND state = 'sending' AND attempts = $2;

-- mark_failed --
-- Given up, for a person to look at. $1 message_id, $2 attempts, $3 reason
UPDATE message SET state = 'failed', reason = $3
WHERE message_id = $1 AND state = 'sending' AND attempts = $2;

-- count_unsent --
-- How many wait. Counts at most 100,000: more is as bad.
SELECT count(*) FROM (SELECT 1 FROM message WHERE state IN ('queued', 'sending') LIMIT 100000) AS waiting;

-- export_messages --
-- Every mail, for the audit. No address, no payload.
SELECT message_id, template, account_id, booking_id, state, attempts, reason,
    (extract(epoch FROM sent_at) * 1000)::bigint AS sent_at_ms
FROM message ORDER BY message_id;
