-- write_audit_entry --
-- Add a line. $1 actor, $2 action, $3 subject, $4 office_id, $5 reason, $6 JSON details
INSERT INTO audit_entry (actor, action, subject, office_id, reason, details)
VALUES ($1, $2, $3, $4, $5, $6::jsonb);
