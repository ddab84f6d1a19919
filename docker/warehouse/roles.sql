-- Run once, when the database is made. The role that the worker writes with: it makes its schemas by itself, and
-- sees which sessions stand in the way of a commit.
\getenv password LOADER_PASSWORD
CREATE ROLE loader LOGIN PASSWORD :'password';
GRANT CREATE ON DATABASE :DBNAME TO loader;
GRANT pg_read_all_stats TO loader;
