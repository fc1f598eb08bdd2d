-- Money that came for a booking without places: since when, and that its payer wants it back.
ALTER TABLE booking
    ADD COLUMN unseated_at timestamptz,
    ADD COLUMN refund_asked_at timestamptz;

UPDATE booking SET unseated_at = changed_at WHERE state = 'paid_no_seat';

ALTER TABLE booking
    ADD CONSTRAINT booking_unseated CHECK (unseated_at IS NULL OR num_nulls(ntpn, paid_at, amount_rupiah) = 0),
    ADD CONSTRAINT booking_listed CHECK (state <> 'paid_no_seat' OR unseated_at IS NOT NULL),
    ADD CONSTRAINT booking_refunded CHECK (refund_asked_at IS NULL OR unseated_at IS NOT NULL);

-- The list of it: what is moved to places has left it.
CREATE INDEX booking_money_without_places ON booking (unseated_at) WHERE unseated_at IS NOT NULL AND state <> 'rescheduled';
