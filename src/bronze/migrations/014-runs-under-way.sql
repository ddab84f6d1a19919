-- The history is kept for ever, and every run looks for those under way: it must not read all of it each time.
CREATE INDEX extraction_runs_under_way ON bronze.extraction_runs (target) WHERE status = 'running';
CREATE INDEX extraction_database_runs_under_way ON bronze.extraction_database_runs (run_id) WHERE status = 'running';
