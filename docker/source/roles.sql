-- Run once, when the database is made. The role that the worker reads with: it may read all tables, and write none.
\getenv password EXTRACTOR_PASSWORD
CREATE ROLE extractor LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO extractor;
