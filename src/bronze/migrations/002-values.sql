ALTER TABLE bronze.extraction_chunks
  -- by column that was sent, the sum of the hashes of the values that the source read for the chunk
  ADD COLUMN digests numeric[],
  -- OIDs in the chunk that name no large object
  ADD COLUMN missing_objects bigint NOT NULL DEFAULT 0;

ALTER TABLE bronze.extraction_runs
  ADD COLUMN verify text;
COMMENT ON COLUMN bronze.extraction_runs.verify IS
  'What a committed run was verified by: rows (counts of both servers) or checksum (digests of every column by both servers).';
