-- Schemas are made by the migrator, which needs no right to make them where they are there already.

CREATE TABLE bronze.extraction_targets (
  target         text PRIMARY KEY,
  source         text NOT NULL,
  source_schema  text NOT NULL,
  source_table   text NOT NULL,
  -- the plan whose rows the table shows; a plan made earlier must not replace them
  loaded_by_plan bigint,
  run_id         text,
  loaded_at      timestamptz
);
COMMENT ON TABLE bronze.extraction_targets IS
  'Which source table feeds which bronze table. One only: another is refused.';

CREATE TABLE bronze.extraction_plans (
  plan_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id        text NOT NULL,
  staging_table text NOT NULL,
  plan          jsonb NOT NULL,
  -- when metadata columns and indexes were added to the staging table, ready to be swapped in
  prepared_at   timestamptz,
  created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX extraction_plans_by_run ON bronze.extraction_plans (run_id);
COMMENT ON TABLE bronze.extraction_plans IS
  'Plans of runs that are under way. A row is there as long as its staging table.';

CREATE TABLE bronze.extraction_chunks (
  plan_id     bigint NOT NULL,
  chunk       integer NOT NULL,
  rows        bigint NOT NULL,
  bytes       bigint NOT NULL,
  attempt     integer NOT NULL,
  snapshot_at timestamptz NOT NULL,
  loaded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (plan_id, chunk)
);
COMMENT ON TABLE bronze.extraction_chunks IS
  'The ledger: a row is written in the transaction that loads the chunk. Kept until the next run of the table commits.';

CREATE TABLE bronze.extraction_runs (
  run_id        text PRIMARY KEY,
  workflow_id   text NOT NULL,
  source        text NOT NULL,
  source_uri    text NOT NULL,
  source_schema text NOT NULL,
  source_table  text NOT NULL,
  target        text NOT NULL,
  status        text NOT NULL CHECK (status IN ('running', 'committed', 'superseded', 'failed', 'cancelled')),
  plan_id       bigint,
  chunks        integer,
  partitions    integer,
  format        text,
  columns       jsonb,
  filter        text,
  rows          bigint,
  bytes         bigint,
  snapshot_at   timestamptz,
  warnings      jsonb NOT NULL DEFAULT '[]',
  message       text,
  started_at    timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz
);
CREATE INDEX extraction_runs_by_target ON bronze.extraction_runs (target, started_at DESC);
COMMENT ON TABLE bronze.extraction_runs IS 'The manifest: what each run did, kept for ever.';
