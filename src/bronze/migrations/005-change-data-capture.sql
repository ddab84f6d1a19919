CREATE TABLE bronze.cdc_positions (
  capture_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source       text NOT NULL,
  slot         text NOT NULL,
  publication  text NOT NULL,
  -- whether the publication was made by the capture, and so goes with it
  own_publication boolean NOT NULL,
  -- of the source, so that another server behind the same address is noticed
  system_id    text NOT NULL,
  timeline     integer NOT NULL,
  -- copying: the slot is made, or about to be, and the first copy is not done
  status       text NOT NULL CHECK (status IN ('copying', 'streaming', 'dropped')),
  -- every transaction that commits before it is in cdc_changes, or in the first copy
  position     pg_lsn,
  -- of the last transaction that was written
  committed_at timestamptz,
  transactions bigint NOT NULL DEFAULT 0,
  changes      bigint NOT NULL DEFAULT 0,
  -- counts changes of cdc_tables, so that a stream notices them
  tables_version integer NOT NULL DEFAULT 0,
  run_id       text NOT NULL,
  workflow_id  text NOT NULL,
  warnings     jsonb NOT NULL DEFAULT '[]',
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX cdc_positions_by_slot ON bronze.cdc_positions (source, slot) WHERE status <> 'dropped';
COMMENT ON TABLE bronze.cdc_positions IS
  'How far each capture has come. Written in the transaction of the changes themselves; one that was dropped stays as a record.';

CREATE TABLE bronze.cdc_tables (
  capture_id bigint NOT NULL REFERENCES bronze.cdc_positions,
  schema     text NOT NULL,
  "table"    text NOT NULL,
  -- where its copy is, in the schema bronze; NULL where none was made
  target     text,
  -- copying: its copy is not done; live: it is, and with mirror changes are applied to it; logged: there is no copy
  status     text NOT NULL CHECK (status IN ('copying', 'live', 'logged')),
  -- transactions that commit before it are in the copy
  copied_at  pg_lsn,
  mirrored   boolean NOT NULL DEFAULT false,
  -- by which rows are found, in the order of the key
  key        jsonb NOT NULL DEFAULT '[]',
  -- name, type, modifier and number of each column as the changes that were applied last had them
  columns    jsonb,
  -- the run that made its copy
  run_id     text,
  PRIMARY KEY (capture_id, schema, "table")
);
COMMENT ON TABLE bronze.cdc_tables IS 'The tables of each capture, and where their copies are.';

CREATE TABLE bronze.cdc_changes (
  capture_id        bigint NOT NULL,
  -- transactions are ordered by the position of their commit, changes in a transaction by their ordinal
  commit_lsn        pg_lsn NOT NULL,
  ordinal           bigint NOT NULL,
  lsn               pg_lsn NOT NULL,
  -- of the commit, by the source's clock
  timestamp         timestamptz,
  xid               bigint,
  operation         text NOT NULL,
  slot              text NOT NULL,
  schema            text,
  "table"           text,
  -- the row as it is after the change; of a message and of TRUNCATE what is known of it
  data              jsonb,
  -- what the source sent of the row before: its key, or all of it
  old               jsonb,
  -- columns whose values the source did not send, because the update did not touch them (TOAST)
  unchanged         text[],
  _bronze_loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (capture_id, commit_lsn, ordinal)
);
COMMENT ON TABLE bronze.cdc_changes IS 'Every change that was committed, once, in the order of the source.';
