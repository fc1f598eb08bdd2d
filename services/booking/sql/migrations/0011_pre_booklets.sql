-- Which kind of blank booklet a service takes, as the seed says. A service that is not here takes none.
CREATE TABLE service_booklet (
    service text PRIMARY KEY,
    kind    text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_]{0,31}$')
);

-- The booklets of an office that counts them. A kind without a row is not counted, and never runs out.
CREATE TABLE booklet_stock (
    office_id    text NOT NULL REFERENCES office,
    kind         text NOT NULL,
    -- Below zero where more were used than had been counted: a family at the desk is served all the same.
    in_stock     integer NOT NULL CHECK (in_stock BETWEEN -1000000 AND 1000000),
    -- As it was found last: booklets nobody is promised, and places of visits of the coming days beyond the stock.
    left_over    integer NOT NULL DEFAULT 1,
    short_places integer NOT NULL DEFAULT 0,
    -- When it is to be dealt out again. Whoever deals holds the row.
    look_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (office_id, kind)
);

CREATE INDEX booklet_stock_due ON booklet_stock (look_at);

-- Everything that changed a stock. A booking takes its booklets once.
CREATE TABLE booklet_movement (
    movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    office_id   text NOT NULL REFERENCES office,
    kind        text NOT NULL,
    why         text NOT NULL CHECK (why IN ('change', 'count', 'served')),
    change      integer NOT NULL,
    in_stock    integer NOT NULL,
    actor       text NOT NULL,
    booking_id  text UNIQUE REFERENCES booking,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT booklet_movement_served CHECK ((why = 'served') = (booking_id IS NOT NULL))
);

CREATE INDEX booklet_movement_of_stock ON booklet_movement (office_id, kind, movement_id);

ALTER TABLE slot
    -- So many places there are booklets for; null: more than it has, or nobody counts.
    ADD COLUMN stock_limit integer CHECK (stock_limit >= 0),
    -- What quota is told: never more places than booklets.
    ADD COLUMN on_sale integer GENERATED ALWAYS AS (least(capacity, stock_limit)) STORED;

-- Places that are new, or open again, are on sale only once booklets have been dealt to them: a release must not
-- be over before the stock is looked at.
CREATE FUNCTION slot_awaits_booklets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM service_booklet AS m
        JOIN booklet_stock AS k ON k.kind = m.kind AND k.office_id = NEW.office_id
        WHERE m.service = NEW.service
    ) THEN
        IF TG_OP = 'INSERT' OR OLD.closed AND NOT NEW.closed THEN
            NEW.stock_limit := 0;
        ELSE
            NEW.stock_limit := coalesce(OLD.stock_limit, OLD.capacity);
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER slot_begins_without_booklets BEFORE INSERT ON slot
    FOR EACH ROW EXECUTE FUNCTION slot_awaits_booklets();
CREATE TRIGGER slot_grows_without_booklets BEFORE UPDATE OF capacity, closed ON slot
    FOR EACH ROW WHEN (NEW.capacity > OLD.capacity OR OLD.closed AND NOT NEW.closed)
    EXECUTE FUNCTION slot_awaits_booklets();
