"""Five ways to copy tables with pandas and psycopg2, as found in scripts."""

import io
import os
from concurrent.futures import ProcessPoolExecutor

import pandas
import psycopg2
from psycopg2.extensions import register_adapter
from psycopg2.extras import Json
from sqlalchemy import create_engine, text

ROWS_AT_ONCE = 10_000
PROCESSES = 4

# without this, the driver refuses to write the values that it reads from jsonb
register_adapter(dict, Json)


def engine(name):
    return create_engine(os.environ[name].replace("postgresql://", "postgresql+psycopg2://", 1))


def write(frame, table, if_exists):
    warehouse = engine("WAREHOUSE")
    frame.to_sql(
        table, warehouse, schema="public", if_exists=if_exists, index=False, method="multi", chunksize=ROWS_AT_ONCE
    )
    warehouse.dispose()


def read_all(query):
    source = engine("SOURCE")
    with source.connect() as session:
        return pandas.read_sql(text(query), session)


def write_each(frames, table, if_exists="replace"):
    for frame in frames:
        write(frame, table, if_exists)
        if_exists = "append"


def basic(table):
    write(read_all(f'SELECT * FROM "{table}"'), table, "replace")


def chunked(table, where="true", if_exists="replace"):
    source = engine("SOURCE")
    with source.connect() as session:
        query = text(f'SELECT * FROM "{table}" WHERE {where}')
        write_each(pandas.read_sql(query, session, chunksize=ROWS_AT_ONCE), table, if_exists)


def cursor(table):
    with psycopg2.connect(os.environ["SOURCE"]) as session, session.cursor(name="rows") as rows:
        rows.itersize = ROWS_AT_ONCE
        rows.execute(f'SELECT * FROM "{table}"')

        def frames():
            while batch := rows.fetchmany(ROWS_AT_ONCE):
                yield pandas.DataFrame(batch, columns=[column.name for column in rows.description])

        write_each(frames(), table)


def copy(table):
    out = io.StringIO()
    with psycopg2.connect(os.environ["SOURCE"]) as session, session.cursor() as reading:
        reading.copy_expert(f'COPY "{table}" TO STDOUT (FORMAT csv, HEADER)', out)
    out.seek(0)
    frame = pandas.read_csv(out)
    write(frame.head(0), table, "replace")
    back = io.StringIO()
    frame.to_csv(back, index=False, header=False)
    back.seek(0)
    with psycopg2.connect(os.environ["WAREHOUSE"]) as session, session.cursor() as writing:
        writing.copy_expert(f'COPY public."{table}" FROM STDIN (FORMAT csv)', back)


def part(table, low, high):
    chunked(table, f"id >= {low} AND id < {high}", "append")


def parallel(table):
    bounds = read_all(f'SELECT min(id) AS low, max(id) + 1 AS high FROM "{table}"').iloc[0]
    write(read_all(f'SELECT * FROM "{table}" LIMIT 0'), table, "replace")
    edges = [bounds.low + (bounds.high - bounds.low) * number // PROCESSES for number in range(PROCESSES + 1)]
    with ProcessPoolExecutor(PROCESSES) as processes:
        for done in [processes.submit(part, table, low, high) for low, high in zip(edges, edges[1:])]:
            done.result()


if __name__ == "__main__":
    for name in os.environ["TABLES"].split(","):
        {"basic": basic, "chunked": chunked, "copy": copy, "cursor": cursor, "parallel": parallel}[
            os.environ["METHOD"]
        ](name)
