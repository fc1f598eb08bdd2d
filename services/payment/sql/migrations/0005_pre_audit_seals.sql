-- The audit log is sealed, as booking's is: lines are numbered, chained by hash and signed in batches, in tables that only ever grow too.
-- The number is given at sealing: ids of a sequence are not the order of commits, and a late line is sealed late.
CREATE TABLE audit_seal (
    number   bigint PRIMARY KEY CHECK (number >= 1),
    entry_id bigint NOT NULL UNIQUE,
    -- SHA-256 of what the line says, and of the chain up to it.
    content  bytea NOT NULL CHECK (octet_length(content) = 32),
    chain    bytea NOT NULL CHECK (octet_length(chain) = 32)
);

CREATE TABLE audit_head (
    head_id      bigint PRIMARY KEY CHECK (head_id >= 1),
    first_number bigint NOT NULL,
    last_number  bigint NOT NULL CHECK (last_number >= first_number),
    chain        bytea NOT NULL CHECK (octet_length(chain) = 32),
    -- Every line's id (8 bytes) and content (32): which line was touched can be told even where seals were touched too.
    manifest     bytea NOT NULL CHECK (octet_length(manifest) = 40 * (last_number - first_number + 1)),
    sealed_at    timestamptz NOT NULL,
    kid          text NOT NULL,
    signature    bytea NOT NULL CHECK (octet_length(signature) = 64)
);

-- Lines that wait for their seal. What is in none of both tables came in behind the log's back.
CREATE TABLE audit_waiting (
    entry_id bigint PRIMARY KEY
);

INSERT INTO audit_waiting (entry_id) SELECT entry_id FROM audit_entry;

CREATE FUNCTION audit_await_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (entry_id) SELECT entry_id FROM added;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_awaits_seal AFTER INSERT ON audit_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION audit_await_seal();
CREATE TRIGGER audit_seal_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_head_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- Nobody has the right either, the role the room runs as included.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_entry, audit_seal, audit_head FROM PUBLIC, CURRENT_USER;
