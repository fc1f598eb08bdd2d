-- read_now_ms --
-- The transaction's time, by the server that decides.
SELECT (extract(epoch FROM now()) * 1000)::bigint;

-- insert_accounts --
-- Create accounts; those whose id, username or active address exists are left out. Returns the created. $1 account_ids, $2 usernames, $3 password_hashes, $4 locales, $5 email_indexes (arrays of one length), $6 state
INSERT INTO account (account_id, username, password_hash, locale, email_index, state, activated_at)
SELECT
    a.account_id, a.username, a.password_hash, a.locale, a.email_index, $6::text,
    CASE WHEN $6::text = 'active' THEN now() END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])
    AS a (account_id, username, password_hash, locale, email_index)
ON CONFLICT DO NOTHING
RETURNING account_id;

-- find_active_emails --
-- Which of these addresses an active account has. $1 email_indexes
SELECT email_index FROM account WHERE state = 'active' AND email_index = ANY ($1::bytea[]);

-- insert_activations --
-- Remember links to be mailed. $1 token_hashes, $2 account_ids (arrays of one length), $3 seconds they work
INSERT INTO activation (token_hash, account_id, expires_at)
SELECT t.token_hash, t.account_id, now() + make_interval(secs => $3::double precision)
FROM unnest($1::bytea[], $2::text[]) AS t (token_hash, account_id);

-- read_activation --
-- Whose link this is. $1 token_hash
SELECT a.account_id, a.email_index
FROM activation AS t INNER JOIN account AS a ON a.account_id = t.account_id
WHERE t.token_hash = $1;

-- lock_email_siblings --
-- Let nobody else activate with this address meanwhile. $1 email_index
SELECT account_id FROM account WHERE email_index = $1 ORDER BY account_id FOR UPDATE;

-- activate_account --
-- Activate if the link still works and nobody has the address. Returns the locale. $1 account_id, $2 token_hash
UPDATE account AS a SET state = 'active', activated_at = now()
FROM activation AS t
WHERE
    a.account_id = $1 AND a.state = 'pending_activation'
    AND t.token_hash = $2 AND t.account_id = a.account_id AND t.expires_at > now()
    AND NOT EXISTS (SELECT 1 FROM account AS o WHERE o.email_index = a.email_index AND o.state = 'active')
RETURNING a.locale;

-- read_account --
-- An account by id. $1 account_id
SELECT account_id, username, password_hash, state, roles FROM account WHERE account_id = $1;

-- read_account_by_username --
-- An account by username. $1 username
SELECT account_id, username, password_hash, state, roles FROM account WHERE username = $1;

-- grant_roles --
-- Add roles to an active account. $1 username, $2 roles
UPDATE account SET roles = ARRAY(SELECT DISTINCT role FROM unnest(roles || $2::text[]) AS r (role) ORDER BY role)
WHERE username = $1 AND state = 'active'
RETURNING account_id, username, password_hash, state, roles;

-- revoke_roles --
-- Take roles from an active account. $1 username, $2 roles
UPDATE account
SET roles = ARRAY(SELECT role FROM unnest(roles) AS r (role) WHERE role <> ALL ($2::text[]) ORDER BY role)
WHERE username = $1 AND state = 'active'
RETURNING account_id, username, password_hash, state, roles;

-- read_staff --
-- Accounts with roles.
SELECT account_id, username, password_hash, state, roles FROM account WHERE roles <> '{}' ORDER BY username;

-- add_roles --
-- Add roles to accounts. $1 account_ids, $2 roles
UPDATE account SET roles = ARRAY(SELECT DISTINCT role FROM unnest(roles || $2::text[]) AS r (role) ORDER BY role)
WHERE account_id = ANY ($1::text[]) AND NOT roles @> $2::text[];

-- count_attempt --
-- Count an attempt before it is judged, so that a hundred at once are a hundred. Returns how many and when the window ends. $1 username_index, $2 window seconds
INSERT INTO login_attempt AS l (username_index, attempts, window_started_at) VALUES ($1, 1, now())
ON CONFLICT (username_index) DO UPDATE SET
    attempts = CASE
        WHEN l.window_started_at <= now() - make_interval(secs => $2::double precision) THEN 1
        ELSE least(l.attempts + 1, 1000000)
    END,
    window_started_at = CASE
        WHEN l.window_started_at <= now() - make_interval(secs => $2::double precision) THEN now()
        ELSE l.window_started_at
    END
RETURNING
    attempts,
    ceil(extract(epoch FROM window_started_at + make_interval(secs => $2::double precision) - now()))::integer
        AS seconds_left;

-- forgive_attempt --
-- Take one back that was never judged. $1 username_index
UPDATE login_attempt SET attempts = greatest(attempts - 1, 0) WHERE username_index = $1;

-- clear_attempts --
-- A success starts over. $1 username_index
DELETE FROM login_attempt WHERE username_index = $1;

-- lock_accounts --
-- Let nobody else add to these families until the transaction ends. $1 account_ids
SELECT account_id FROM account WHERE account_id = ANY ($1::text[]) ORDER BY account_id FOR UPDATE;

-- read_families --
-- Families as they are. A statement of its own after the lock: what waited for a lock still counts by its old snapshot. $1 account_ids
SELECT
    a.account_id, a.family_card_index,
    (SELECT count(*) FROM person AS p WHERE p.account_id = a.account_id)::integer AS size
FROM account AS a
WHERE a.account_id = ANY ($1::text[]);

-- find_persons_by_nik --
-- Who is known, and whose they are. $1 nik_indexes
SELECT nik_index, person_id, account_id, warnings FROM person WHERE nik_index = ANY ($1::bytea[]);

-- insert_persons --
-- Add persons; a NIK somebody else added first is left out. Returns the added. $1 person_ids, $2 account_ids, $3 nik_indexes, $4 relations, $5 verified, $6 warnings joined by commas (arrays of one length)
INSERT INTO person (person_id, account_id, nik_index, relation, verified, warnings)
SELECT p.person_id, p.account_id, p.nik_index, p.relation, p.verified, string_to_array(p.warnings, ',')
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::boolean[], $6::text[])
    AS p (person_id, account_id, nik_index, relation, verified, warnings)
ON CONFLICT (nik_index) DO NOTHING
RETURNING person_id;

-- set_family_cards --
-- The first person's card becomes the account's. $1 account_ids, $2 family_card_indexes (arrays of one length)
UPDATE account AS a SET family_card_index = c.family_card_index
FROM unnest($1::text[], $2::bytea[]) AS c (account_id, family_card_index)
WHERE a.account_id = c.account_id AND a.family_card_index IS NULL;

-- list_persons --
-- The people of an account, in the order they came. $1 account_id
SELECT person_id, relation, verified, warnings FROM person WHERE account_id = $1 ORDER BY created_at, person_id;

-- put_vault --
-- Store sealed values. $1 owner_ids, $2 fields, $3 key_versions, $4 nonces, $5 sealed (arrays of one length)
INSERT INTO vault (owner_id, field, key_version, nonce, sealed)
SELECT v.owner_id, v.field, v.key_version, v.nonce, v.sealed
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
    AS v (owner_id, field, key_version, nonce, sealed);

-- read_vault --
-- Sealed values of some owners. $1 owner_ids, $2 fields
SELECT owner_id, field, key_version, nonce, sealed
FROM vault
WHERE owner_id = ANY ($1::text[]) AND field = ANY ($2::text[]);

-- lock_stale_vault --
-- Values sealed with another key than the current, for this transaction alone. $1 current key_version, $2 rows at most
SELECT owner_id, field, key_version, nonce, sealed
FROM vault
WHERE key_version <> $1
ORDER BY owner_id, field
LIMIT $2
FOR UPDATE SKIP LOCKED;

-- replace_vault --
-- The same values, sealed anew. $1 owner_ids, $2 fields, $3 key_versions, $4 nonces, $5 sealed (arrays of one length)
UPDATE vault AS v SET key_version = n.key_version, nonce = n.nonce, sealed = n.sealed
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
    AS n (owner_id, field, key_version, nonce, sealed)
WHERE v.owner_id = n.owner_id AND v.field = n.field;

-- erase_pending --
-- Erase accounts never activated, with what the vault holds of them. Returns how many. $1 older than seconds, $2 rows at most
WITH gone AS (
    DELETE FROM account
    WHERE account_id IN (
        SELECT account_id FROM account
        WHERE state = 'pending_activation' AND created_at < now() - make_interval(secs => $1::double precision)
        ORDER BY created_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    RETURNING account_id
),
emptied AS (
    DELETE FROM vault WHERE owner_id IN (SELECT account_id FROM gone)
)
SELECT count(*) FROM gone;

-- forget_attempts --
-- Windows long over. $1 older than seconds, $2 rows at most
DELETE FROM login_attempt
WHERE username_index IN (
    SELECT username_index FROM login_attempt
    WHERE window_started_at < now() - make_interval(secs => $1::double precision)
    ORDER BY window_started_at LIMIT $2
    FOR UPDATE SKIP LOCKED
);
