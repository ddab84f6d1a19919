CREATE TABLE bronze.extraction_database_runs (
  run_id          text PRIMARY KEY,
  workflow_id     text NOT NULL,
  source          text NOT NULL,
  consistency     text NOT NULL,
  -- complete: every table arrived; partial: some failed or were skipped
  status          text NOT NULL CHECK (status IN ('running', 'complete', 'partial', 'failed', 'cancelled')),
  tables          integer NOT NULL,
  committed       integer,
  superseded      integer,
  failed          integer,
  skipped         integer,
  rows            bigint,
  bytes           bigint,
  restarts        integer,
  -- the moment of all tables, where they share one
  snapshot_at     timestamptz,
  snapshot_lsn    pg_lsn,
  -- stands for that moment among the numbers of plans
  plan_order      bigint,
  new_tables      jsonb NOT NULL DEFAULT '[]',
  vanished_tables jsonb NOT NULL DEFAULT '[]',
  warnings        jsonb NOT NULL DEFAULT '[]',
  message         text,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at     timestamptz
);
COMMENT ON TABLE bronze.extraction_database_runs IS
  'What each run of a whole database did, kept for ever; its tables are in extraction_runs, by database_run_id.';

CREATE TABLE bronze.extraction_members (
  run_id           text NOT NULL,
  -- the place in the order of size, the largest first
  member           integer NOT NULL,
  source_schema    text NOT NULL,
  source_table     text NOT NULL,
  bytes            bigint NOT NULL,
  large            boolean NOT NULL,
  -- the input of extractTable, as it was written
  request          jsonb NOT NULL,
  -- of incremental tables: what was known of their increment before the snapshot was taken
  before_snapshot  jsonb,
  skipped          boolean NOT NULL DEFAULT false,
  PRIMARY KEY (run_id, member)
);
COMMENT ON TABLE bronze.extraction_members IS
  'The tables of runs of whole databases that are under way. A row is there as long as its run.';

-- whether copies that are under way are to end after the chunk, or the table, that they are at
ALTER TABLE bronze.extraction_database_runs ADD COLUMN paused boolean NOT NULL DEFAULT false;
ALTER TABLE bronze.extraction_plans ADD COLUMN paused boolean NOT NULL DEFAULT false;

-- where the rows that the table shows stand among the numbers of plans: the plan that loaded it may be later than its snapshot
ALTER TABLE bronze.extraction_targets ADD COLUMN loaded_order bigint;

ALTER TABLE bronze.extraction_chunks ADD COLUMN snapshot_lsn pg_lsn;
ALTER TABLE bronze.extraction_runs
  ADD COLUMN database_run_id text,
  ADD COLUMN snapshot_lsn pg_lsn,
  ADD COLUMN worker_version text;
COMMENT ON COLUMN bronze.extraction_runs.database_run_id IS
  'The run of a whole database that extracted the table; NULL where it was extracted alone.';
COMMENT ON COLUMN bronze.extraction_runs.snapshot_lsn IS
  'How far the write-ahead log of the source was when the snapshot was taken.';
CREATE INDEX extraction_runs_by_database_run ON bronze.extraction_runs (database_run_id)
  WHERE database_run_id IS NOT NULL;
