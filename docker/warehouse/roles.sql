-- Run once, when the database is created. The worker's role for writing: it creates its schemas itself, and can see
-- which sessions block a commit.
\getenv password LOADER_PASSWORD
CREATE ROLE loader LOGIN PASSWORD :'password';
GRANT CREATE ON DATABASE :DBNAME TO loader;
GRANT pg_read_all_stats TO loader;
