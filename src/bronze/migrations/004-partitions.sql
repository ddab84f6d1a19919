CREATE TABLE bronze.extraction_partitions (
  target    text NOT NULL,
  -- as in _bronze_partition
  partition text NOT NULL,
  -- the plan that read it; one that was made earlier must not replace its rows
  plan_id   bigint NOT NULL,
  -- a digest of what was read of each row; NULL where not all rows were read
  reading   text,
  -- what the source said of it before it was read: while that is the same, so are its rows
  evidence  text,
  seen_at   timestamptz NOT NULL,
  PRIMARY KEY (target, partition)
);
COMMENT ON TABLE bronze.extraction_partitions IS
  'Which partitions bronze has the rows of. Nothing is here for a table that was written in another way since.';

ALTER TABLE bronze.extraction_runs
  -- how many partitions were not read, and why; NULL where all were
  ADD COLUMN skipped_partitions jsonb,
  DROP CONSTRAINT extraction_runs_status_check,
  ADD CONSTRAINT extraction_runs_status_check
    CHECK (status IN ('running', 'committed', 'superseded', 'unchanged', 'failed', 'cancelled'));
