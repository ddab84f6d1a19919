-- Run once, when the database is created. The worker's role for reading: it can read all tables and write to none.
-- pg_read_all_stats: incremental runs see the open transactions of other roles, which their checkpoints wait for.
-- REPLICATION: captureChanges reads from a replication slot. The owner of the tables creates its publication; see
-- docs/changes.md.
\getenv password EXTRACTOR_PASSWORD
CREATE ROLE extractor LOGIN REPLICATION PASSWORD :'password';
GRANT pg_read_all_data TO extractor;
GRANT pg_read_all_stats TO extractor;
