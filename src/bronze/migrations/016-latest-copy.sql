-- to read a capture asks for its latest copy, and each of thousands of tables reads the capture several times
CREATE INDEX cdc_tables_by_copy ON bronze.cdc_tables (capture_id, copied_at);
