"""DuckDB reads one database and writes the other, through its PostgreSQL extension."""

import os
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner as extension

[path] = Path(extension.__file__).parent.rglob("postgres_scanner.duckdb_extension")
session = duckdb.connect()
session.execute(f"LOAD '{path}'")
session.execute(f"ATTACH '{os.environ['SOURCE']}' AS source (TYPE postgres, READ_ONLY)")
session.execute(f"ATTACH '{os.environ['WAREHOUSE']}' AS warehouse (TYPE postgres)")
for table in os.environ["TABLES"].split(","):
    session.execute(f'CREATE OR REPLACE TABLE warehouse.public."{table}" AS FROM source.public."{table}"')
