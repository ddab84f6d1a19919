CREATE TABLE bronze.extraction_checkpoints (
  checkpoint_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source           text NOT NULL,
  source_schema    text NOT NULL,
  source_table     text NOT NULL,
  target           text NOT NULL,
  cursor_column    text NOT NULL,
  cursor_type      text NOT NULL,
  -- as text, with every digit that the source has
  checkpoint_value text NOT NULL,
  -- superseded: the rows that it stood for were extracted anew
  status           text NOT NULL CHECK (status IN ('success', 'superseded')),
  write_mode       text NOT NULL,
  key_columns      jsonb NOT NULL,
  filter           text,
  protection       text NOT NULL,
  run_id           text NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX extraction_checkpoints_by_target ON bronze.extraction_checkpoints (target, checkpoint_id DESC);
COMMENT ON TABLE bronze.extraction_checkpoints IS
  'How far incremental runs have come: a row each time that a checkpoint moved, written in the transaction of the rows.';

ALTER TABLE bronze.extraction_runs
  ADD COLUMN extraction_type text NOT NULL DEFAULT 'full',
  ADD COLUMN incremental jsonb,
  ADD COLUMN schema_changes jsonb NOT NULL DEFAULT '[]';

-- what was found in the staging table when it was prepared
ALTER TABLE bronze.extraction_plans ADD COLUMN staged jsonb;
