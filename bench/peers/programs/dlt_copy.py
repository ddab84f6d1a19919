"""dlt, with its fastest backend for reading; METHOD is the format of the files it loads."""

import os
from datetime import date

import dlt
from dlt.sources.sql_database import sql_database

tables = os.environ["TABLES"].split(",")
pipeline = dlt.pipeline(
    pipeline_name="bench",
    pipelines_dir=os.path.join(os.environ["WORK"], "pipelines"),
    destination=dlt.destinations.postgres(os.environ["WAREHOUSE"]),
    dataset_name="dlt",
)
source_url = os.environ["SOURCE"].replace("postgresql://", "postgresql+psycopg2://", 1)
source = sql_database(source_url, table_names=tables, backend="connectorx")
disposition = "replace"
if key := os.environ["KEY"]:
    disposition = {"disposition": "merge", "strategy": "upsert"}
    for table in source.resources.values():
        table.apply_hints(primary_key=key, incremental=dlt.sources.incremental(os.environ["CURSOR"]))
if column := os.environ["PART"]:
    disposition = {"disposition": "merge", "strategy": "delete-insert"}
    low, high = (date.fromisoformat(os.environ[name]) for name in ("FROM", "TO"))
    for table in source.resources.values():
        table.apply_hints(merge_key=column, incremental=dlt.sources.incremental(column, low, end_value=high))
pipeline.run(source, write_disposition=disposition, loader_file_format=os.environ["METHOD"])
