import { parseCsv } from './csv.ts';
import { recordTable, type RecordColumn } from './demo-table.ts';
import { readVegaFile } from './vega-file.ts';

type Birdstrike = Record<string, string>;

const text = (name: string, field: string): RecordColumn<Birdstrike> => ({
  name,
  type: 'text NOT NULL',
  value: (row) => row[field] ?? null,
});

const dollars = (name: string, field: string): RecordColumn<Birdstrike> => ({
  name,
  type: 'numeric(12,2) NOT NULL',
  comment: 'US dollars',
  value: (row) => row[field] ?? null,
});

export const birdstrikes = recordTable<Birdstrike>(
  {
    name: 'birdstrikes',
    comment: 'Collisions of aircraft with wildlife, reported to the FAA',
    primaryKey: ['id'],
    columns: [
      { name: 'id', type: 'integer', comment: 'Line of the file', value: (_, index) => index + 1 },
      { name: 'flight_date', type: 'date NOT NULL', value: (row) => row['Flight Date'] ?? null },
      text('airport_name', 'Airport Name'),
      text('aircraft', 'Aircraft Make Model'),
      text('operator', 'Aircraft Airline Operator'),
      text('origin_state', 'Origin State'),
      text('phase_of_flight', 'Phase of flight'),
      text('time_of_day', 'Time of day'),
      text('wildlife_size', 'Wildlife Size'),
      text('wildlife_species', 'Wildlife Species'),
      text('damage', 'Effect Amount of damage'),
      dollars('cost_repair', 'Cost Repair'),
      dollars('cost_other', 'Cost Other'),
      dollars('cost_total', 'Cost Total $'),
      {
        name: 'speed_knots',
        type: 'smallint',
        comment: 'Indicated air speed; NULL where nobody noted it',
        value: (row) => row['Speed IAS in knots'] || null,
      },
    ],
  },
  async () => parseCsv(await readVegaFile('birdstrikes.csv')),
);
