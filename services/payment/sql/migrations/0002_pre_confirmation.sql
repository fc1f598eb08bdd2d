-- Verified reports whose bank has not yet said the same when asked. The worker asks again until it does, or lists them.
CREATE TABLE unconfirmed (
    bank           text        NOT NULL,
    external_id    text        NOT NULL,
    body_sha256    text        NOT NULL,
    billing_code   text        NOT NULL,
    amount_value   text        NOT NULL,
    currency       text        NOT NULL,
    ntpn           text        NOT NULL,
    journal_number text        NOT NULL,
    paid_at_ms     bigint      NOT NULL,
    asked          integer     NOT NULL CHECK (asked > 0),
    ask_at         timestamptz NOT NULL,
    PRIMARY KEY (bank, external_id)
);

CREATE INDEX unconfirmed_ask_at ON unconfirmed (ask_at);
CREATE INDEX unconfirmed_billing_code ON unconfirmed (billing_code);

-- Exceptions get a number to page by, and an end: what was in doubt can turn out well.
ALTER TABLE exception ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
ALTER TABLE exception ADD COLUMN resolved_at timestamptz;

-- Attempts to prove a payment that were wrong, or are not decided. The same request again is the same attempt.
CREATE TABLE proof_attempt (
    account_id      text        NOT NULL,
    booking_id      text        NOT NULL,
    idempotency_key text        NOT NULL,
    journal_number  text        NOT NULL,
    attempted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, booking_id, idempotency_key, journal_number)
);

CREATE INDEX proof_attempt_at ON proof_attempt (attempted_at);

-- The sandbox's bank is asked by code and journal number.
CREATE INDEX sandbox_bank_ledger_journal ON sandbox_bank_ledger (billing_code, journal_number);
