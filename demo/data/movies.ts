import { z } from 'zod';
import { recordTable, type RecordColumn } from './demo-table.ts';
import { readVegaFile } from './vega-file.ts';

const movie = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));

type Movie = z.output<typeof movie>;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Converts `Jun 12 1998` to `1998-06-12`. */
function isoDate(text: string): string {
  const [, name = '', day = '', year = ''] = /^([A-Z][a-z]{2}) (\d{2}) (\d{4})$/.exec(text) ?? [];
  const month = MONTHS.indexOf(name) + 1;
  if (month === 0) throw new Error(`expected a date such as "Jun 12 1998", found "${text}"`);
  return `${year}-${String(month).padStart(2, '0')}-${day}`;
}

const column = (name: string, type: string, field: string): RecordColumn<Movie> => ({
  name,
  type,
  value: (row) => row[field] ?? null,
});

/** The file stores titles such as 1776 as numbers. */
const title = (row: Movie) => (row['Title'] == null ? null : String(row['Title']));

const releaseDate = (row: Movie) =>
  row['Release Date'] == null ? null : isoDate(String(row['Release Date']));

export const movies = recordTable<Movie>(
  {
    name: 'movies',
    comment: 'Films, their takings and their ratings',
    primaryKey: ['id'],
    columns: [
      { name: 'id', type: 'integer', comment: 'Place in the file', value: (_, index) => index + 1 },
      { name: 'title', type: 'text', value: title },
      {
        name: 'release_date',
        type: 'date',
        comment: 'As in the file, where some films before 1930 are in the wrong century',
        value: releaseDate,
      },
      column('us_gross', 'bigint', 'US Gross'),
      column('worldwide_gross', 'bigint', 'Worldwide Gross'),
      column('us_dvd_sales', 'bigint', 'US DVD Sales'),
      column('production_budget', 'bigint', 'Production Budget'),
      column('mpaa_rating', 'text', 'MPAA Rating'),
      column('running_time_minutes', 'smallint', 'Running Time min'),
      column('distributor', 'text', 'Distributor'),
      column('source', 'text', 'Source'),
      column('major_genre', 'text', 'Major Genre'),
      column('creative_type', 'text', 'Creative Type'),
      column('director', 'text', 'Director'),
      column('rotten_tomatoes_rating', 'smallint', 'Rotten Tomatoes Rating'),
      column('imdb_rating', 'numeric(3,1)', 'IMDB Rating'),
      column('imdb_votes', 'integer', 'IMDB Votes'),
    ],
  },
  async () => z.array(movie).parse(JSON.parse(await readVegaFile('movies.json'))),
);
