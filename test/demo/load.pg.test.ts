import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { airports } from '../../demo/data/airports.ts';
import { birdstrikes } from '../../demo/data/birdstrikes.ts';
import { recordTable } from '../../demo/data/demo-table.ts';
import { earthquakes } from '../../demo/data/earthquakes.ts';
import { openFlights } from '../../demo/data/flights-file.ts';
import { loadRecords } from '../../demo/data/load-demo-data.ts';
import { loadFlights } from '../../demo/data/load-flights.ts';
import { movies } from '../../demo/data/movies.ts';
import { readVegaFile, vegaFile } from '../../demo/data/vega-file.ts';
import { zipcodes } from '../../demo/data/zipcodes.ts';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
let client: Client;

beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  client = await lab.connect('source');
  await client.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'");
});

afterAll(async () => lab.close());

/** Returns rows as the server's own text, so that no parser of the client rounds values. */
async function textsOf(sql: string): Promise<(string | null)[][]> {
  const types = { getTypeParser: () => (text: string) => text };
  const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array', types });
  return rows;
}

const oneText = async (sql: string) => (await textsOf(sql))[0]?.[0];

/** Returns the lines of a CSV file without quotes. */
async function linesOf(file: string): Promise<string[][]> {
  const text = (await readVegaFile(file)).trimEnd();
  return text
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(','));
}

/** Sorts rows and parses their coordinates: the file omits trailing zeros. */
function comparableZipcodes(rows: readonly (readonly (string | null)[])[]): unknown[] {
  const values = rows.map(([zip, latitude, longitude, ...place]) => {
    return [zip, Number(latitude), Number(longitude), ...place];
  });
  return values.toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}

function textOf(value: string | number | null | undefined): string | null {
  return value == null ? null : String(value);
}

interface Feature {
  readonly id: string;
  readonly properties: { readonly mag: number; readonly time: number };
  readonly geometry: unknown;
}

describe('the small tables hold what their files do', () => {
  test('zipcodes, with leading zeros', async () => {
    await loadRecords(client, zipcodes, () => {});
    const found = await textsOf(
      'SELECT zip_code, latitude, longitude, city, state, county FROM zipcodes ORDER BY 1',
    );
    const expected = await linesOf('zipcodes.csv');
    expect(comparableZipcodes(found)).toEqual(comparableZipcodes(expected));
    expect(found.some(([zip]) => zip === '00501')).toBe(true);
  });

  test('birdstrikes, with NULL where no speed was noted', async () => {
    await loadRecords(client, birdstrikes, () => {});
    const found = await textsOf(
      `SELECT airport_name, aircraft, damage, flight_date, operator, origin_state, phase_of_flight, wildlife_size,
        wildlife_species, time_of_day, cost_other::bigint, cost_repair::bigint, cost_total::bigint, coalesce(speed_knots::text, '')
       FROM birdstrikes ORDER BY id`,
    );
    expect(found).toEqual(await linesOf('birdstrikes.csv'));
  });

  test('airports, with quotes, and NULL for NA', async () => {
    await loadRecords(client, airports, () => {});
    expect(await oneText('SELECT count(*) FROM airports')).toBe('3376');
    expect(await oneText("SELECT name FROM airports WHERE iata = 'DBN'")).toBe('W. H. "Bud" Barron');
    expect(await oneText('SELECT count(*) FROM airports WHERE city IS NULL AND state IS NULL')).toBe('12');
    expect(await oneText("SELECT latitude || ' ' || longitude FROM airports WHERE iata = '00M'")).toBe(
      '31.95376472 -89.23450472',
    );
  });

  test('movies, with titles that are numbers', async () => {
    await loadRecords(client, movies, () => {});
    const found = await textsOf(
      `SELECT title, to_char(release_date, 'Mon DD YYYY'), worldwide_gross, running_time_minutes, director, imdb_rating::float8
       FROM movies ORDER BY id`,
    );
    const file: Record<string, string | number | null>[] = JSON.parse(await readVegaFile('movies.json'));
    const fields = [
      'Title',
      'Release Date',
      'Worldwide Gross',
      'Running Time min',
      'Director',
      'IMDB Rating',
    ];
    expect(found).toEqual(file.map((movie) => fields.map((field) => textOf(movie[field]))));
  });

  test('earthquakes, with their JSON', async () => {
    await loadRecords(client, earthquakes, () => {});
    const { rows } = await client.query<{ id: string }>(
      `SELECT id, magnitude::float8 AS mag, properties, geometry, (extract(epoch FROM happened_at) * 1000)::float8 AS time
       FROM earthquakes`,
    );
    const { features }: { features: Feature[] } = JSON.parse(await readVegaFile('earthquakes.json'));
    const found = new Map(rows.map((row) => [row.id, row]));
    expect(found.size).toBe(features.length);
    for (const { id, properties, geometry } of features) {
      expect(found.get(id)).toEqual({ id, mag: properties.mag, properties, geometry, time: properties.time });
    }
  });
});

describe('loading', () => {
  const values = ['\\', '\\N', '\\.', 'tab\there', 'line\nend\r', '\b\f\v', '', 'NULL', 'é€😀', '"\'', null];

  test('keeps what COPY would take for syntax, and NULL apart from the empty text', async () => {
    const columns = [
      { name: 'id', type: 'integer', value: (_: string | null, index: number) => index },
      { name: 'odd "name"', type: 'text', value: (value: string | null) => value },
    ];
    const odd = { name: 'odd table', comment: "it's odd: \\", primaryKey: ['id'], columns };
    await loadRecords(
      client,
      recordTable(odd, () => Promise.resolve(values)),
      () => {},
    );
    const found = await textsOf('SELECT "odd ""name""" FROM "odd table" ORDER BY id');
    expect(found.flat()).toEqual(values);
    expect(await oneText(`SELECT obj_description('"odd table"'::regclass)`)).toBe("it's odd: \\");
  });

  test('replaces an earlier table with what depends on it', async () => {
    await client.query('DROP TABLE IF EXISTS airports CASCADE');
    await client.query('CREATE TABLE airports AS SELECT 1 AS other; CREATE VIEW on_it AS TABLE airports');
    await loadRecords(client, airports, () => {});
    expect(await oneText("SELECT to_regclass('on_it')")).toBeNull();
    expect(await oneText('SELECT count(*) FROM airports')).toBe('3376');
    expect(
      await oneText(
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'airports'::regclass AND contype = 'p'",
      ),
    ).toBe('1');
  });

  test('that fails leaves the earlier table', async () => {
    await loadRecords(client, airports, () => {});
    const broken = {
      ...airports,
      rows: () => Promise.resolve([['X', 'x', 'x', 'x', 'x', 'not a number', '1']]),
    };
    await expect(loadRecords(client, broken, () => {})).rejects.toThrow(
      'invalid input syntax for type double precision',
    );
    expect(await oneText('SELECT count(*) FROM airports')).toBe('3376');
  });
});

/** Returns rows of the file as read by the package itself, in the text form of the table. */
async function flightsOf(rowStart: number, rowEnd: number): Promise<string[][]> {
  const file = await asyncBufferFromFile(vegaFile('flights-3m.parquet'));
  const rows = await parquetReadObjects({ file, compressors, rowStart, rowEnd });
  return rows.map((row, index) => {
    const date = new Date(row['date']).toISOString().slice(0, 19).replace('T', ' ');
    const others = ['delay', 'distance', 'origin', 'destination'].map((column) => String(row[column]));
    return [String(rowStart + index + 1), date, ...others];
  });
}

describe('flights', () => {
  /** The second row group, which begins in January and ends in February. */
  const FIRST = 272_727;
  const ROWS = 272_727;
  const reported: number[] = [];

  beforeAll(async () => {
    const groups = await openFlights();
    await loadFlights(client, (rows) => reported.push(rows), groups.slice(1, 2));
  });

  test('are numbered in the order of the file', { tags: 'long' }, async () => {
    const summary = await textsOf('SELECT count(*), count(DISTINCT id), min(id), max(id) FROM flights');
    expect(summary).toEqual([[`${ROWS}`, `${ROWS}`, `${FIRST + 1}`, `${FIRST + ROWS}`]]);
    expect(reported.at(-1)).toBe(ROWS);
  });

  test('are in the partitions of the months that there are', { tags: 'long' }, async () => {
    const partitions = await textsOf(
      `SELECT tableoid::regclass, bool_and(to_char(date, '"flights_"YYYY_MM') = tableoid::regclass::text)
       FROM flights GROUP BY 1 ORDER BY 1`,
    );
    expect(partitions).toEqual([
      ['flights_2001_01', 't'],
      ['flights_2001_02', 't'],
    ]);
    expect(await oneText("SELECT count(*) FROM pg_inherits WHERE inhparent = 'flights'::regclass")).toBe('2');
  });

  test('are those of the file, also where one month ends', { tags: 'long' }, async () => {
    const lastOfJanuary = Number(await oneText('SELECT max(id) FROM flights_2001_01'));
    for (const start of [FIRST, lastOfJanuary - 500, FIRST + ROWS - 1_000]) {
      const found = await textsOf(
        `SELECT * FROM flights WHERE id > ${start} AND id <= ${start + 1_000} ORDER BY id`,
      );
      expect(found).toEqual(await flightsOf(start, start + 1_000));
    }
  });

  test('have one valid primary key over all partitions', { tags: 'long' }, async () => {
    const valid = `SELECT pg_get_indexdef(indexrelid) FROM pg_index
      WHERE indrelid = 'flights'::regclass AND indisprimary AND indisvalid`;
    expect(await oneText(valid)).toMatch(/ON ONLY public\.flights USING btree \(id, date\)$/);
  });

  test('can be loaded again', { tags: 'long' }, async () => {
    await loadFlights(client, () => {}, (await openFlights()).slice(10));
    expect(await oneText('SELECT min(id) FROM flights')).toBe('2727271');
    expect(await oneText("SELECT count(*) FROM flights WHERE date >= '2001-07-01'")).toBe('6');
  });
});
