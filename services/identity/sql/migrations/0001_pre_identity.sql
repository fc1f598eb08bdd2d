-- Accounts, the people of one family card each, and the vault: the only table with people's data.
CREATE TABLE account (
    account_id        text PRIMARY KEY,
    username          text NOT NULL UNIQUE,
    password_hash     text NOT NULL,
    state             text NOT NULL CHECK (state IN ('pending_activation', 'active')),
    locale            text NOT NULL CHECK (locale IN ('id', 'en')),
    roles             text[] NOT NULL DEFAULT '{}',
    -- Keyed hashes: they tell equality to who holds the key, and nothing to who holds the dump.
    email_index       bytea NOT NULL,
    family_card_index bytea,
    created_at        timestamptz NOT NULL DEFAULT now(),
    activated_at      timestamptz,
    CHECK ((state = 'active') = (activated_at IS NOT NULL))
);

-- An address belongs to whoever activates with it first: registering somebody else's address takes nothing from him.
CREATE UNIQUE INDEX account_active_email ON account (email_index) WHERE state = 'active';
CREATE INDEX account_email ON account (email_index);
CREATE INDEX account_pending ON account (created_at) WHERE state = 'pending_activation';

-- Activation links by the hash of their token.
CREATE TABLE activation (
    token_hash bytea PRIMARY KEY,
    account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE INDEX activation_account ON activation (account_id);

-- One row per NIK in the whole country; whose it is, it stays.
CREATE TABLE person (
    person_id  text PRIMARY KEY,
    account_id text NOT NULL REFERENCES account,
    nik_index  bytea NOT NULL UNIQUE,
    relation   text NOT NULL CHECK (relation IN ('self', 'spouse', 'child', 'parent', 'sibling', 'other')),
    verified   boolean NOT NULL,
    warnings   text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX person_account ON person (account_id, created_at, person_id);

-- Sealed values, one per row with a nonce of its own, bound to their place by owner and field.
CREATE TABLE vault (
    owner_id    text NOT NULL,
    field       text NOT NULL CHECK (
        field IN ('holder_nik', 'email', 'phone', 'address', 'nik', 'family_card', 'full_name', 'birth_date')
    ),
    key_version text NOT NULL,
    nonce       bytea NOT NULL CHECK (octet_length(nonce) = 12),
    sealed      bytea NOT NULL,
    PRIMARY KEY (owner_id, field)
);

CREATE INDEX vault_key_version ON vault (key_version);

-- Attempts to log in, by a keyed hash: people type passwords and NIKs into the wrong field.
CREATE TABLE login_attempt (
    username_index    bytea PRIMARY KEY,
    attempts          integer NOT NULL,
    window_started_at timestamptz NOT NULL
);

CREATE INDEX login_attempt_started ON login_attempt (window_started_at);
