-- lead_sealing --
-- Be the only one who seals until the transaction ends; false if somebody is.
SELECT pg_try_advisory_xact_lock(1635083369, hashtext(current_schema()));

-- take_unsealed --
-- Lines that wait for their seal, no longer waiting, in order of their ids. $1 how many at most
WITH taken AS (
    DELETE FROM audit_waiting
    WHERE entry_id IN (
        SELECT entry_id FROM audit_waiting INNER JOIN audit_entry USING (entry_id) ORDER BY entry_id LIMIT $1
    )
    RETURNING entry_id
)
SELECT entry_id, (extract(epoch FROM at) * 1000000)::text AS at_us, actor, action, subject, office_id, reason,
    details::text AS details
FROM audit_entry
WHERE entry_id IN (SELECT entry_id FROM taken)
ORDER BY entry_id;

-- read_last_head --
-- The newest head, or no row before the first.
SELECT head_id, first_number, last_number, chain, manifest, sealed_at, kid, signature
FROM audit_head
ORDER BY head_id DESC
LIMIT 1;

-- write_head --
-- Add a head. $1 head_id, $2 first_number, $3 last_number, $4 chain, $5 manifest, $6 sealed_at, $7 kid, $8 signature
INSERT INTO audit_head (head_id, first_number, last_number, chain, manifest, sealed_at, kid, signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- count_unsealed --
-- How many lines wait. Looks at 100,000 at most: more is as bad.
SELECT count(*) FROM (SELECT 1 FROM audit_waiting LIMIT 100000) AS waiting;

-- read_oldest_unsealed --
-- Seconds since the first of the waiting lines was written, or 0.
SELECT coalesce((
    SELECT extract(epoch FROM clock_timestamp() - at)::double precision
    FROM audit_waiting INNER JOIN audit_entry USING (entry_id)
    ORDER BY entry_id LIMIT 1
), 0);

-- read_heads --
-- Every head in order, for a cursor.
SELECT head_id, first_number, last_number, chain, manifest, sealed_at, kid, signature
FROM audit_head
ORDER BY head_id;

-- read_seals --
-- Seals of a range of numbers. $1 first, $2 last
SELECT number, entry_id, content, chain FROM audit_seal WHERE number BETWEEN $1 AND $2 ORDER BY number;

-- read_last_number --
-- The highest number given, 0 before the first.
SELECT coalesce(max(number), 0) FROM audit_seal;

-- read_entries --
-- Lines by id. $1 entry_ids
SELECT entry_id, (extract(epoch FROM at) * 1000000)::text AS at_us, actor, action, subject, office_id, reason,
    details::text AS details
FROM audit_entry
WHERE entry_id = ANY ($1::bigint[]);

-- read_strangers --
-- Lines that are neither sealed nor waiting for it, for a cursor.
SELECT e.entry_id
FROM audit_entry AS e
LEFT JOIN audit_seal AS s USING (entry_id)
LEFT JOIN audit_waiting AS w USING (entry_id)
WHERE s.entry_id IS NULL AND w.entry_id IS NULL
ORDER BY e.entry_id;

-- read_lost --
-- Lines that wait for their seal and are gone, for a cursor.
SELECT w.entry_id FROM audit_waiting AS w LEFT JOIN audit_entry AS e USING (entry_id)
WHERE e.entry_id IS NULL
ORDER BY w.entry_id;

-- count_entries --
-- How many lines there are, and how many of them wait for their seal.
SELECT (SELECT count(*) FROM audit_entry) AS entries, (SELECT count(*) FROM audit_waiting) AS waiting;

-- write_audit_entry --
-- Add a line. $1 actor, $2 action, $3 subject, $4 office_id, $5 reason, $6 JSON details
INSERT INTO audit_entry (actor, action, subject, office_id, reason, details)
VALUES ($1, $2, $3, $4, $5, $6::jsonb);

-- read_audit_now --
-- The time of the server that keeps the log.
SELECT clock_timestamp();
