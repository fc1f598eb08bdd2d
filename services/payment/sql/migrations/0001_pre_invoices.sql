-- Fees by service and first day of validity. Rows are added, never edited.
CREATE TABLE tariff (
    service        text    NOT NULL,
    validity_years integer NOT NULL CHECK (validity_years > 0),
    valid_from     date    NOT NULL,
    amount_rupiah  bigint  NOT NULL CHECK (amount_rupiah > 0),
    PRIMARY KEY (service, validity_years, valid_from)
);

-- Running number of invoices; codes are made from it, so no two are the same.
CREATE SEQUENCE invoice_number AS bigint MAXVALUE 9999999999999;

-- What a booking owes. `closed` came to nothing: expired or cancelled before the money.
CREATE TABLE invoice (
    booking_id      text        PRIMARY KEY,
    account_id      text        NOT NULL,
    billing_code    text        NOT NULL UNIQUE CHECK (billing_code ~ '^[0-9]{15}$'),
    virtual_account text        NOT NULL UNIQUE CHECK (virtual_account ~ '^[0-9]{18}$'),
    amount_rupiah   bigint      NOT NULL CHECK (amount_rupiah >= 0),
    lines           jsonb       NOT NULL,
    pay_by_ms       bigint      NOT NULL,
    timezone        text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('open', 'paid', 'closed')),
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- Money that came. One NTPN is one payment; one booking is paid once.
CREATE TABLE payment (
    ntpn           text        PRIMARY KEY CHECK (ntpn ~ '^[0-9A-Z]{16}$'),
    bank           text        NOT NULL,
    journal_number text        NOT NULL,
    billing_code   text        NOT NULL REFERENCES invoice (billing_code),
    booking_id     text        NOT NULL UNIQUE REFERENCES invoice (booking_id),
    amount_rupiah  bigint      NOT NULL CHECK (amount_rupiah > 0),
    paid_at_ms     bigint      NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT now()
);

-- Notifications answered, so that the same one is answered the same and works once.
CREATE TABLE callback_seen (
    bank        text        NOT NULL,
    external_id text        NOT NULL,
    body_sha256 text        NOT NULL,
    verdict     text        NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bank, external_id)
);

CREATE INDEX callback_seen_at ON callback_seen (seen_at);

-- Reports that are no payment as they stand: for a person to look at, never dropped.
CREATE TABLE exception (
    bank           text        NOT NULL,
    external_id    text        NOT NULL,
    reason         text        NOT NULL,
    billing_code   text        NOT NULL,
    amount_value   text        NOT NULL,
    currency       text        NOT NULL,
    ntpn           text        NOT NULL,
    journal_number text        NOT NULL,
    paid_at_ms     bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bank, external_id)
);

-- The books of the sandbox's bank: a payment made again is the same payment.
CREATE TABLE sandbox_bank_ledger (
    billing_code   text        NOT NULL,
    amount_rupiah  bigint      NOT NULL,
    ntpn           text        NOT NULL,
    journal_number text        NOT NULL,
    external_id    text        NOT NULL UNIQUE,
    paid_at_ms     bigint      NOT NULL,
    PRIMARY KEY (billing_code, amount_rupiah)
);
