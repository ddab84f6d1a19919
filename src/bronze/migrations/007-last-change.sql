-- The last change that was written: a position moves on without one, so that it does not say what is there.
ALTER TABLE bronze.cdc_positions
  ADD COLUMN last_commit_lsn pg_lsn,
  -- NULL where the last change is a message outside of transactions
  ADD COLUMN last_xid bigint;
UPDATE bronze.cdc_positions AS p
   SET (last_commit_lsn, last_xid) = (SELECT c.commit_lsn, c.xid FROM bronze.cdc_changes AS c
                                       WHERE c.capture_id = p.capture_id ORDER BY c.commit_lsn DESC LIMIT 1);
