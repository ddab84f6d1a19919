ALTER TABLE bronze.extraction_chunks
  -- by column that was sent, the sum of the hashes of the values that the source read for the chunk
  ADD COLUMN digests numeric[],
  -- OIDs in the chunk that name no large object
  ADD COLUMN missing_objects bigint NOT NULL DEFAULT 0;

ALTER TABLE bronze.extraction_runs
  ADD COLUMN verify text;
COMMENT ON COLUMN bronze.extraction_runs.verify IS
  'What a committed run was verified by: rows (counts of both servers) or checksum (digests of every column by both servers).';

-- Fills <column>_parsed while rows arrive, as the expression of a generated column, which must be
-- immutable. What makes parsing depend on anything is an error here, and an error is a value.
CREATE OR REPLACE FUNCTION bronze_staging.parse_json(raw text) RETURNS jsonb
  LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN raw::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN jsonb_build_object('_error', 'parse_failed', '_raw', raw);
END
$$;
COMMENT ON FUNCTION bronze_staging.parse_json IS
  'A text as jsonb; {"_error": "parse_failed", "_raw": "..."} where it is no JSON, or none that jsonb can hold.';
