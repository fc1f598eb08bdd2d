-- Messages said together may share a row: `body` then holds all of them.
ALTER TABLE outbox ADD COLUMN messages integer NOT NULL DEFAULT 1 CHECK (messages >= 1);

-- Bodies live for moments and are read once: compressing them costs more than it saves.
ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL;

-- Old rows are found by id, which grows with time.
DROP INDEX outbox_created_at;
