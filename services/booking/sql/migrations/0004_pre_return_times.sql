-- When places that came back are offered again, local to the office; empty: after a random delay each.
ALTER TABLE slot ADD COLUMN return_times text[] NOT NULL DEFAULT '{}';
