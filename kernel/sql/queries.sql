-- append_outbox --
-- Say a message in this transaction; the same event_id is said once. $1 event_ids, $2 topics, $3 keys, $4 headers, $5 bodies (arrays of one length)
INSERT INTO outbox (event_id, topic, key, headers, body)
SELECT event_id, topic, key, headers, body
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
    WITH ORDINALITY AS m (event_id, topic, key, headers, body, position)
ORDER BY position
ON CONFLICT (event_id) DO NOTHING;

-- append_bundles --
-- Say messages of facts that are new in this transaction, many to a row. $1 event_ids, $2 topics, $3 headers, $4 bodies, $5 numbers of messages (arrays of one length)
INSERT INTO outbox (event_id, topic, key, headers, body, messages)
SELECT event_id, topic, '', headers, body, messages
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::integer[])
    WITH ORDINALITY AS m (event_id, topic, headers, body, messages, position)
ORDER BY position;

-- read_outbox --
-- The oldest rows nobody can still get in front of, until they hold enough messages. $1 how many are enough
SELECT id, event_id, topic, key, headers, body, messages
FROM (
    SELECT *, sum(messages) OVER (ORDER BY id) - messages AS before
    FROM (
        SELECT id, event_id, topic, key, headers, body, messages
        FROM outbox
        WHERE published_at IS NULL AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY id
        LIMIT $1
    ) AS oldest
) AS counted
WHERE before < $1
ORDER BY id;

-- mark_published --
-- The broker has acknowledged these. $1 ids
UPDATE outbox SET published_at = now() WHERE id = ANY ($1::bigint[]);

-- count_unpublished --
-- How many messages wait. Looks at 100,000 rows at most: more is as bad.
SELECT coalesce(sum(messages), 0)
FROM (SELECT messages FROM outbox WHERE published_at IS NULL LIMIT 100000) AS waiting;

-- delete_published --
-- Forget old messages: looks at a bounded number of the oldest rows. $1 older than (interval), $2 rows at most
DELETE FROM outbox
WHERE id IN (
    SELECT id
    FROM (SELECT id, created_at, published_at FROM outbox ORDER BY id LIMIT $2) AS oldest
    WHERE created_at < now() - $1::interval AND published_at IS NOT NULL
);

-- known_cluster --
-- Which cluster is told; null before the first.
SELECT cluster_id FROM outbox_cluster;

-- remember_cluster --
-- Note which cluster is told from now on. $1 cluster_id
INSERT INTO outbox_cluster (cluster_id) VALUES ($1)
ON CONFLICT (only_row) DO UPDATE SET cluster_id = excluded.cluster_id;

-- announce_again --
-- Tell what is still kept once more, a bounded number at a time. Returns the last id, null at the end. $1 after this id, $2 rows at most
WITH again AS (
    UPDATE outbox SET published_at = NULL
    WHERE id IN (SELECT id FROM outbox WHERE id > $1 AND published_at IS NOT NULL ORDER BY id LIMIT $2)
    RETURNING id
)
SELECT max(id) FROM again;

-- take_inbox --
-- Note event ids as taken; returns those not taken before. $1 consumer, $2 event_ids
INSERT INTO inbox (consumer, event_id)
SELECT $1, event_id FROM unnest($2::text[]) AS e (event_id)
ON CONFLICT DO NOTHING
RETURNING event_id;

-- delete_inbox --
-- Forget event ids that no broker delivers any more. $1 older than (interval), $2 rows at most
DELETE FROM inbox
WHERE (consumer, event_id) IN (
    SELECT consumer, event_id FROM inbox WHERE received_at < now() - $1::interval ORDER BY received_at LIMIT $2
);

-- lock_idempotency --
-- Be the only one working on this key until the transaction ends; false if somebody is. $1 scope and key in one text
SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0));

-- read_idempotency --
-- The stored answer. $1 scope, $2 key
SELECT fingerprint, status, body FROM idempotency WHERE scope = $1 AND key = $2;

-- store_idempotency --
-- Keep the answer with its effect. $1 scope, $2 key, $3 fingerprint, $4 status, $5 body
INSERT INTO idempotency (scope, key, fingerprint, status, body) VALUES ($1, $2, $3, $4, $5);

-- delete_idempotency --
-- Forget answers nobody asks for any more. $1 older than (interval), $2 rows at most
DELETE FROM idempotency
WHERE (scope, key) IN (
    SELECT scope, key FROM idempotency WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2
);
