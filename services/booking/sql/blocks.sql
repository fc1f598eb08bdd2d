-- snapshot_blocks --
-- Families that did not come and were not pardoned, while their block lasts, for COPY: what becomes of the booking later lifts no block
SELECT 'n', account_id, array_to_string(person_ids, ','), floor(date_part('epoch', blocked_until) * 1000)::bigint, booking_id
FROM booking
WHERE blocked_until > now() AND pardoned_at IS NULL
