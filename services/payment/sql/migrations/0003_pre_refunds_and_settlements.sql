-- A fee may end before another begins; its last day is one of its days. 0 years: a fee that has no validity.
ALTER TABLE tariff
    ADD COLUMN valid_until date,
    DROP CONSTRAINT tariff_validity_years_check,
    ADD CONSTRAINT tariff_validity CHECK (validity_years >= 0),
    ADD CONSTRAINT tariff_days CHECK (valid_until >= valid_from);

-- Two fees on one day would be two answers to one question.
CREATE FUNCTION tariff_refuse_overlap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (
            SELECT valid_until, lead(valid_from) OVER (PARTITION BY service, validity_years ORDER BY valid_from) AS next
            FROM tariff
        ) AS fees
        WHERE valid_until >= next
    ) THEN
        RAISE EXCEPTION 'two fees of one service and validity on one day' USING ERRCODE = 'exclusion_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tariff_without_overlap AFTER INSERT OR UPDATE ON tariff
    FOR EACH STATEMENT EXECUTE FUNCTION tariff_refuse_overlap();

-- What a slot's service is made of: each item is a line of the invoice, at the fee of the day.
CREATE TABLE service_item (
    service        text    NOT NULL,
    item           text    NOT NULL,
    validity_years integer NOT NULL CHECK (validity_years >= 0),
    PRIMARY KEY (service, item)
);

INSERT INTO service_item (service, item, validity_years)
VALUES ('regular', 'regular', 5), ('electronic', 'electronic', 5);

-- The booking whose money this is, once it moved; the amount is what refunds refer to.
ALTER TABLE payment
    ADD COLUMN moved_to text,
    ADD CONSTRAINT payment_amount UNIQUE (ntpn, amount_rupiah);

CREATE INDEX payment_of_booking ON payment ((coalesce(moved_to, booking_id)));
CREATE INDEX payment_of_day ON payment (bank, paid_at_ms);

-- A file for the treasury.
CREATE TABLE refund_batch (
    batch_id    text        PRIMARY KEY,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Money to be given back. Two persons: who asks does not approve.
CREATE TABLE refund (
    refund_id     text        PRIMARY KEY,
    booking_id    text        NOT NULL,
    ntpn          text        NOT NULL,
    account_id    text        NOT NULL,
    paid_rupiah   bigint      NOT NULL,
    amount_rupiah bigint      NOT NULL CHECK (amount_rupiah BETWEEN 1 AND paid_rupiah),
    reason        text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    state         text        NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'approved', 'rejected', 'reported')),
    requested_by  text        NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by   text        CHECK (approved_by <> requested_by),
    approved_at   timestamptz CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    rejected_by   text,
    rejected_at   timestamptz,
    batch_id      text        REFERENCES refund_batch,
    FOREIGN KEY (ntpn, paid_rupiah) REFERENCES payment (ntpn, amount_rupiah),
    CONSTRAINT refund_approved CHECK (state NOT IN ('approved', 'reported') OR approved_by IS NOT NULL),
    CONSTRAINT refund_rejected CHECK ((state = 'rejected') = (num_nulls(rejected_by, rejected_at) = 0)),
    CONSTRAINT refund_reported CHECK ((state = 'reported') = (batch_id IS NOT NULL))
);

-- One payment is given back once, so never more than was paid.
CREATE UNIQUE INDEX refund_live ON refund (ntpn) WHERE state <> 'rejected';
CREATE INDEX refund_in_order ON refund (state, requested_at, refund_id);
CREATE INDEX refund_of_booking ON refund (booking_id, requested_at);
CREATE INDEX refund_of_batch ON refund (batch_id, refund_id) WHERE batch_id IS NOT NULL;

-- A refund with the payment it gives back, as staff, the citizen and the treasury read it.
CREATE VIEW refund_told AS
SELECT r.refund_id, r.booking_id, r.account_id, r.ntpn, p.bank, p.journal_number, p.billing_code, r.paid_rupiah,
       r.amount_rupiah, r.reason, r.state, r.requested_by, r.requested_at, r.approved_by, r.approved_at,
       r.rejected_by, r.rejected_at, r.batch_id, b.reported_at, i.timezone
FROM refund AS r
JOIN payment AS p ON p.ntpn = r.ntpn
JOIN invoice AS i ON i.booking_id = p.booking_id
LEFT JOIN refund_batch AS b ON b.batch_id = r.batch_id;

-- What staff did, and why. Nobody changes or removes a line: the trigger refuses, whoever asks.
CREATE TABLE audit_entry (
    entry_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor     text NOT NULL,
    action    text NOT NULL,
    subject   text NOT NULL,
    office_id text,
    reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    details   jsonb NOT NULL DEFAULT '{}'
);

CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- A bank's report of a day, by its content: the same file is the same run.
CREATE TABLE settlement_run (
    run_id      text        PRIMARY KEY,
    bank        text        NOT NULL,
    settled_on  date        NOT NULL,
    lines       integer     NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);

-- What the bank says line by line, and what that is to us; null until it is judged.
CREATE TABLE settlement_line (
    run_id         text    NOT NULL REFERENCES settlement_run,
    line_number    integer NOT NULL,
    ntpn           text    NOT NULL,
    billing_code   text    NOT NULL,
    journal_number text    NOT NULL,
    amount_rupiah  bigint  NOT NULL,
    paid_at_ms     bigint  NOT NULL,
    -- The line of this file that names the same NTPN first.
    repeats        integer,
    outcome        text    CHECK (outcome IN (
        'matched', 'missing_here', 'amount_differs', 'details_differ', 'duplicate'
    )),
    -- What settling made of it, where it was tried.
    verdict        text,
    PRIMARY KEY (run_id, line_number)
);

CREATE INDEX settlement_line_unjudged ON settlement_line (run_id, line_number) WHERE outcome IS NULL;
CREATE INDEX settlement_line_ntpn ON settlement_line (run_id, ntpn);

-- Payments of ours of that bank and day which its report does not name.
CREATE TABLE settlement_missing_there (
    run_id        text   NOT NULL REFERENCES settlement_run,
    ntpn          text   NOT NULL,
    booking_id    text   NOT NULL,
    amount_rupiah bigint NOT NULL,
    PRIMARY KEY (run_id, ntpn)
);
