"""Copies Arrow batches from one database to the other, with ADBC on both sides."""

import os

import adbc_driver_postgresql.dbapi as adbc

with adbc.connect(os.environ["SOURCE"]) as source, adbc.connect(os.environ["WAREHOUSE"]) as warehouse:
    for table in os.environ["TABLES"].split(","):
        with source.cursor() as read, warehouse.cursor() as write:
            read.execute(f'SELECT * FROM "{table}"')
            write.adbc_ingest(table, read.fetch_record_batch(), mode="replace")
        warehouse.commit()
