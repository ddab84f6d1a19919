ALTER TABLE bronze.cdc_tables
  -- what the catalog of the source says of the table: its OID, by which it is known whatever its name; the files that have
  -- its rows, which are others when the rows were written anew; the highest number that a column of it has or had
  ADD COLUMN catalog jsonb;
COMMENT ON COLUMN bronze.cdc_tables.columns IS
  'name, type, modifier, number and version (of the row of the catalog) of each column as the changes that were applied last had them';

-- messages outside of transactions have the ordinal 0; of the last one alone what comes next may have the position too
UPDATE bronze.cdc_changes AS c SET ordinal = 0
  FROM bronze.cdc_positions AS p
 WHERE c.capture_id = p.capture_id AND c.commit_lsn = p.last_commit_lsn AND p.last_xid IS NULL AND c.ordinal = 1;
