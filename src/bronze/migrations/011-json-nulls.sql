-- Columns whose value after the change is the null of JSON: in data it looks like NULL.
ALTER TABLE bronze.cdc_changes ADD COLUMN json_nulls text[];
