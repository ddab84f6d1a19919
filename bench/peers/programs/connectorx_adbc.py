"""ConnectorX reads a table into Arrow, ADBC writes it."""

import os

import adbc_driver_postgresql.dbapi as adbc
import connectorx

with adbc.connect(os.environ["SOURCE"]) as source, adbc.connect(os.environ["WAREHOUSE"]) as warehouse:
    for table in os.environ["TABLES"].split(","):
        with source.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_attribute WHERE attrelid = $1::regclass AND attname = 'id' AND atttypid IN (20, 23)",
                (f'public."{table}"',),
            )
            has_key = cursor.fetchone() is not None
        parts = {"partition_on": "id", "partition_num": 4} if has_key else {}
        rows = connectorx.read_sql(
            os.environ["SOURCE"], f'SELECT * FROM "{table}"', return_type="arrow", protocol="binary", **parts
        )
        with warehouse.cursor() as write:
            write.adbc_ingest(table, rows, mode="replace")
        warehouse.commit()
