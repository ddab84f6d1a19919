-- Writes a sources file for dbt 1.10 or later from the manifest, with the tables in bronze and their maximum age:
--   psql "$WAREHOUSE_DATABASE_URL" --no-align --tuples-only --file sql/dbt-sources.sql > models/bronze.yml
-- The age is that of the snapshot, which runs without new rows update too, and which empty tables also have.
-- Freshness follows the pace of the runs so far: a warning after twice the longest pause between the last ten
-- committed runs, an error after four times. A table committed only once causes a warning after a day. One that a
-- capture keeps up to date is as old as the last position that was written: a warning after one hour, an error after two.
WITH pause AS (
  SELECT target, greatest(1, ceil(extract(epoch FROM max(pause)) / 60))::bigint AS minutes
    FROM (SELECT target, finished_at - lag(finished_at) OVER w AS pause, row_number() OVER (PARTITION BY target ORDER BY finished_at DESC) AS recent
            FROM bronze.extraction_runs WHERE status = 'committed'
          WINDOW w AS (PARTITION BY target ORDER BY finished_at)) AS runs
   WHERE recent <= 10 GROUP BY target HAVING max(pause) IS NOT NULL
), shown AS (
  SELECT t.target, format('%s.%s of %s (%s, %s)', t.source_schema, t.source_table, t.source, r.source_uri, r.extraction_type) AS description,
         CASE WHEN c.target IS NOT NULL THEN 30 ELSE coalesce(p.minutes, 720) END AS minutes,
         CASE WHEN c.target IS NOT NULL
           THEN format('SELECT updated_at FROM bronze.cdc_positions WHERE capture_id = %s', c.capture_id)
           ELSE format('SELECT r.snapshot_at FROM bronze.extraction_targets t JOIN bronze.extraction_runs r ON r.run_id = t.run_id WHERE t.target = %L', t.target)
         END AS loaded_at
    FROM bronze.extraction_targets t JOIN bronze.extraction_runs r ON r.run_id = t.run_id LEFT JOIN pause p ON p.target = t.target
    LEFT JOIN bronze.cdc_tables c ON c.target = t.target AND c.mirrored AND c.status = 'live'
   WHERE to_regclass(format('bronze.%I', t.target)) IS NOT NULL
), line(target, number, text) AS (
  SELECT '', 0, E'version: 2\n\nsources:\n  - name: bronze\n    schema: bronze\n    tables:'
  UNION ALL
  SELECT target, 1, format(E'      - name: %s\n        quoting: {identifier: true}\n        description: %s\n        config:\n          loaded_at_query: %s\n          freshness:\n            warn_after: {count: %s, period: minute}\n            error_after: {count: %s, period: minute}',
           to_json(target), to_json(description), to_json(loaded_at), 2 * minutes, 4 * minutes)
    FROM shown
)
SELECT text FROM line ORDER BY target <> '', target, number;
