-- Writes a sources file for dbt 1.10 or later from the manifest, with the tables in bronze and their maximum age:
--   psql "$WAREHOUSE_DATABASE_URL" --no-align --tuples-only --file sql/dbt-sources.sql > models/bronze.yml
-- The age is that of the snapshot, which runs without new rows update too, and which empty tables also have.
-- Freshness follows the pace of the runs so far: a warning after twice the longest pause between the last ten
-- committed runs, an error after four times. A table committed only once causes a warning after a day.
WITH shown AS (
  SELECT t.target, t.source, t.source_schema, t.source_table, r.source_uri, r.extraction_type
    FROM bronze.extraction_targets t JOIN bronze.extraction_runs r ON r.run_id = t.run_id
   WHERE to_regclass(format('bronze.%I', t.target)) IS NOT NULL
), pause AS (
  SELECT target, greatest(1, ceil(extract(epoch FROM max(pause)) / 60))::bigint AS minutes
    FROM (SELECT target, finished_at - lag(finished_at) OVER w AS pause, row_number() OVER (PARTITION BY target ORDER BY finished_at DESC) AS recent
            FROM bronze.extraction_runs WHERE status = 'committed'
          WINDOW w AS (PARTITION BY target ORDER BY finished_at)) AS runs
   WHERE recent <= 10 GROUP BY target HAVING max(pause) IS NOT NULL
), line(target, number, text) AS (
  SELECT '', 0, E'version: 2\n\nsources:\n  - name: bronze\n    schema: bronze\n    tables:'
  UNION ALL
  SELECT s.target, 1, format(E'      - name: %s\n        quoting: {identifier: true}\n        description: %s\n        config:\n          loaded_at_query: %s\n          freshness:\n            warn_after: {count: %s, period: minute}\n            error_after: {count: %s, period: minute}',
           to_json(s.target), to_json(format('%s.%s of %s (%s, %s)', s.source_schema, s.source_table, s.source, s.source_uri, s.extraction_type)),
           to_json(format('SELECT r.snapshot_at FROM bronze.extraction_targets t JOIN bronze.extraction_runs r ON r.run_id = t.run_id WHERE t.target = %L', s.target)),
           coalesce(2 * p.minutes, 1440), coalesce(4 * p.minutes, 2880))
    FROM shown s LEFT JOIN pause p USING (target)
)
SELECT text FROM line ORDER BY target <> '', target, number;
