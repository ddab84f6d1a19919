import { parseCsv } from './csv.ts';
import { recordTable } from './demo-table.ts';
import { readVegaFile } from './vega-file.ts';

type ZipCode = Record<string, string>;

export const zipcodes = recordTable<ZipCode>(
  {
    name: 'zipcodes',
    comment: 'Postal codes of the United States with their places',
    primaryKey: ['zip_code'],
    columns: [
      {
        name: 'zip_code',
        type: 'text',
        comment: 'Text, because leading zeros count: 00501',
        value: (row) => row['zip_code'] ?? null,
      },
      { name: 'latitude', type: 'numeric(9,6) NOT NULL', value: (row) => row['latitude'] ?? null },
      { name: 'longitude', type: 'numeric(9,6) NOT NULL', value: (row) => row['longitude'] ?? null },
      { name: 'city', type: 'text NOT NULL', value: (row) => row['city'] ?? null },
      { name: 'state', type: 'character(2) NOT NULL', value: (row) => row['state'] ?? null },
      { name: 'county', type: 'text NOT NULL', value: (row) => row['county'] ?? null },
    ],
  },
  async () => parseCsv(await readVegaFile('zipcodes.csv')),
);
