-- How a report that is no payment ended, by whom and why; and the whole rupiah it told of, where it told of such.
-- Resolved without an end: its money was confirmed and taken as a payment.
ALTER TABLE exception
    ADD COLUMN amount_rupiah bigint GENERATED ALWAYS AS (
        CASE WHEN currency = 'IDR' AND amount_value ~ '^[0-9]{1,13}\.00$' THEN split_part(amount_value, '.', 1)::bigint END
    ) STORED,
    ADD COLUMN ended text CHECK (ended IN ('refund', 'matched', 'dismissed')),
    ADD COLUMN resolved_by text,
    ADD COLUMN resolution text CHECK (length(resolution) BETWEEN 1 AND 500),
    ADD CONSTRAINT exception_ended CHECK (
        ended IS NULL OR num_nulls(resolved_at, resolved_by, resolution) = 0
    ),
    ADD CONSTRAINT exception_amount UNIQUE (number, ntpn, amount_rupiah);

CREATE INDEX exception_open ON exception (number) WHERE resolved_at IS NULL;
CREATE INDEX exception_ntpn ON exception (ntpn);
CREATE INDEX settlement_line_by_ntpn ON settlement_line (ntpn);
CREATE INDEX settlement_run_day ON settlement_run (bank, settled_on);

-- The code under which the bank told of a payment that was matched with another; banks repeat what they told.
ALTER TABLE payment ADD COLUMN told_code text;

-- A refund gives back a payment, or money that is none: then all of it, and it may be of no booking that anybody knows.
ALTER TABLE refund
    ADD COLUMN exception_number bigint,
    ADD COLUMN payment_ntpn text GENERATED ALWAYS AS (CASE WHEN exception_number IS NULL THEN ntpn END) STORED,
    ALTER COLUMN booking_id DROP NOT NULL,
    ALTER COLUMN account_id DROP NOT NULL,
    DROP CONSTRAINT refund_ntpn_paid_rupiah_fkey,
    ADD CONSTRAINT refund_of_payment FOREIGN KEY (payment_ntpn, paid_rupiah) REFERENCES payment (ntpn, amount_rupiah),
    ADD CONSTRAINT refund_of_exception FOREIGN KEY (exception_number, ntpn, paid_rupiah)
        REFERENCES exception (number, ntpn, amount_rupiah),
    ADD CONSTRAINT refund_whose CHECK (
        exception_number IS NOT NULL OR (booking_id IS NOT NULL AND account_id IS NOT NULL)
    );

CREATE INDEX refund_exception ON refund (exception_number) WHERE exception_number IS NOT NULL;

-- A refund with the money it gives back, as staff, the citizen and the treasury read it. Banks' days are Jakarta's.
CREATE OR REPLACE VIEW refund_told AS
SELECT r.refund_id, r.booking_id, r.account_id, r.ntpn, coalesce(p.bank, e.bank) AS bank,
       coalesce(p.journal_number, e.journal_number) AS journal_number,
       coalesce(p.billing_code, e.billing_code) AS billing_code, r.paid_rupiah,
       r.amount_rupiah, r.reason, r.state, r.requested_by, r.requested_at, r.approved_by, r.approved_at,
       r.rejected_by, r.rejected_at, r.batch_id, b.reported_at, coalesce(i.timezone, 'Asia/Jakarta') AS timezone,
       r.exception_number
FROM refund AS r
LEFT JOIN payment AS p ON p.ntpn = r.payment_ntpn
LEFT JOIN exception AS e ON e.number = r.exception_number
LEFT JOIN invoice AS i ON i.booking_id = coalesce(p.booking_id, r.booking_id)
LEFT JOIN refund_batch AS b ON b.batch_id = r.batch_id;

-- A report that is no payment with its end, as staff read it.
CREATE VIEW exception_told AS
SELECT e.number, e.bank, e.external_id, e.reason, e.billing_code, e.amount_value, e.amount_rupiah, e.currency, e.ntpn, e.journal_number,
       e.paid_at_ms, e.recorded_at,
       CASE WHEN e.resolved_at IS NULL THEN 'open' ELSE coalesce(e.ended, 'matched') END AS state,
       e.resolved_at, e.resolved_by, e.resolution, r.refund_id, p.billing_code AS matched_code
FROM exception AS e
LEFT JOIN refund AS r ON r.exception_number = e.number AND r.state <> 'rejected'
LEFT JOIN payment AS p ON p.ntpn = e.ntpn AND e.resolved_at IS NOT NULL AND coalesce(e.ended, 'matched') = 'matched';
