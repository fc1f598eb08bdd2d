-- Hand-overs that ended in a refusal or in silence. Claims that only asked the provider are no tries: while he does not
-- answer, a mail in doubt stays in doubt and is not given up.
ALTER TABLE message ADD COLUMN tries integer NOT NULL DEFAULT 0;
