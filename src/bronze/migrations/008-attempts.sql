CREATE TABLE bronze.extraction_attempts (
  plan_id      bigint NOT NULL,
  -- of the span that the attempt copies
  first_chunk  integer NOT NULL,
  -- when Temporal gave the work out first, in milliseconds since 1970, by its own clock
  scheduled_at bigint NOT NULL,
  attempt      integer NOT NULL,
  PRIMARY KEY (plan_id, first_chunk)
);
COMMENT ON TABLE bronze.extraction_attempts IS
  'Which attempt may write the chunks of a span: the latest. A row is there as long as its plan.';

-- the same for the plan of a run
ALTER TABLE bronze.extraction_runs
  ADD COLUMN plan_scheduled_at bigint,
  ADD COLUMN plan_attempt integer;
