-- lock_tariffs --
-- One who loads fees at a time; who reads them is not held up.
LOCK TABLE tariff, service_item IN SHARE ROW EXCLUSIVE MODE;

-- add_tariffs --
-- Add fees not known yet; returns how many. $1 services, $2 validity years, $3 first days, $4 last days or null, $5 rupiah (arrays of one length)
WITH added AS (
    INSERT INTO tariff (service, validity_years, valid_from, valid_until, amount_rupiah)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::date[], $4::date[], $5::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM added;

-- read_tariffs --
-- All fees. A few rows: they change once in years.
SELECT service, validity_years, valid_from::text AS valid_from, valid_until::text AS valid_until, amount_rupiah
FROM tariff;

-- add_service_items --
-- Add what services are made of; returns how many rows are new. $1 services, $2 items, $3 validity years (arrays of one length)
WITH added AS (
    INSERT INTO service_item (service, item, validity_years)
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[])
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM added;

-- read_service_items --
-- What every service is made of. A few rows.
SELECT service, item, validity_years FROM service_item;
