-- What the rows up to a checkpoint were read from, and the position of the snapshot in its log: after a restore, values
-- may begin again.
ALTER TABLE bronze.extraction_checkpoints ADD COLUMN origin jsonb;
