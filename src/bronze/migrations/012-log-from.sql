-- From where on the log of changes has all changes of a table. What committed before is in its first copy alone, so that
-- a change is in either. 0/0: the log has all that was sent.
ALTER TABLE bronze.cdc_tables
  ADD COLUMN log_from pg_lsn,
  -- the position of the capture when the table was added; NULL for those it began with
  ADD COLUMN added_at pg_lsn;
UPDATE bronze.cdc_tables SET log_from = copied_at;
COMMENT ON COLUMN bronze.cdc_tables.log_from IS
  'The log of changes has those of the table that commit from here on. Copies of it that are made later leave the log as it is.';
