import { parseCsv } from './csv.ts';
import { recordTable } from './demo-table.ts';
import { readVegaFile } from './vega-file.ts';

type Airport = Record<string, string>;

/** The file has NA for an unknown city or state. */
const known = (text: string | undefined) => (text === undefined || text === 'NA' ? null : text);

export const airports = recordTable<Airport>(
  {
    name: 'airports',
    comment: 'Airports of the United States and its territories',
    primaryKey: ['iata'],
    columns: [
      {
        name: 'iata',
        type: 'text',
        comment: 'IATA or FAA location code',
        value: (row) => row['iata'] ?? null,
      },
      { name: 'name', type: 'text NOT NULL', value: (row) => row['name'] ?? null },
      { name: 'city', type: 'text', value: (row) => known(row['city']) },
      {
        name: 'state',
        type: 'text',
        comment: 'Two letters; NULL outside',
        value: (row) => known(row['state']),
      },
      { name: 'country', type: 'text NOT NULL', value: (row) => row['country'] ?? null },
      { name: 'latitude', type: 'double precision NOT NULL', value: (row) => row['latitude'] ?? null },
      { name: 'longitude', type: 'double precision NOT NULL', value: (row) => row['longitude'] ?? null },
    ],
  },
  async () => parseCsv(await readVegaFile('airports.csv')),
);
