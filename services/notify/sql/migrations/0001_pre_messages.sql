-- Where an account's mails go. The only personal data of this room.
CREATE TABLE contact (
    account_id text   PRIMARY KEY,
    email      text   NOT NULL,
    locale     text   NOT NULL CHECK (locale IN ('id', 'en')),
    -- When identity said so; older news does not replace newer.
    at_ms      bigint NOT NULL
);

-- Mails to be written. The id is the Message-ID, derived from the event: the same event is the same mail.
CREATE TABLE message (
    message_id text        PRIMARY KEY,
    account_id text        NOT NULL,
    booking_id text,
    template   text        NOT NULL,
    payload    jsonb       NOT NULL,
    state      text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'sent', 'failed')),
    -- Counts claims, and fences them: only the latest claimer may say what became of the mail.
    attempts   integer     NOT NULL DEFAULT 0,
    -- queued: when to try. sending: when the sender's lease ends and the mail is in doubt.
    due_at     timestamptz NOT NULL DEFAULT now(),
    reason     text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz
);

CREATE INDEX message_due ON message (due_at) WHERE state IN ('queued', 'sending');

-- Bookings as the newest event tells them, for tickets.
CREATE TABLE ticket (
    booking_id text    PRIMARY KEY,
    account_id text    NOT NULL,
    state      text    NOT NULL,
    version    integer NOT NULL,
    booking    jsonb   NOT NULL
);
