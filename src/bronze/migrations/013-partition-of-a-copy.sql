-- The partition whose rows a COPY brings, as the default of a staging table has it. It is called immutable so that COPY,
-- which plans the defaults of its columns each time, computes it once and not for each row. Nothing else may use it.
CREATE FUNCTION bronze.partition_of_copy() RETURNS text LANGUAGE sql IMMUTABLE
  AS $$SELECT current_setting('datakit.partition')$$;
