import { z } from 'zod';
import { recordTable } from './demo-table.ts';
import { readVegaFile } from './vega-file.ts';

const earthquake = z.object({
  id: z.string(),
  properties: z.looseObject({
    mag: z.number(),
    magType: z.string(),
    place: z.string(),
    time: z.number(),
    updated: z.number(),
  }),
  geometry: z.unknown(),
});

type Earthquake = z.output<typeof earthquake>;

const feed = z.object({ features: z.array(earthquake) });

const timestamp = (milliseconds: number) => new Date(milliseconds).toISOString();

export const earthquakes = recordTable<Earthquake>(
  {
    name: 'earthquakes',
    comment: 'A week of earthquakes, from the GeoJSON feed of the US Geological Survey',
    primaryKey: ['id'],
    columns: [
      { name: 'id', type: 'text', value: ({ id }) => id },
      { name: 'magnitude', type: 'numeric NOT NULL', value: ({ properties }) => properties.mag },
      { name: 'magnitude_type', type: 'text NOT NULL', value: ({ properties }) => properties.magType },
      { name: 'place', type: 'text NOT NULL', value: ({ properties }) => properties.place },
      {
        name: 'happened_at',
        type: 'timestamp with time zone NOT NULL',
        value: ({ properties }) => timestamp(properties.time),
      },
      {
        name: 'updated_at',
        type: 'timestamp with time zone NOT NULL',
        value: ({ properties }) => timestamp(properties.updated),
      },
      {
        name: 'properties',
        type: 'jsonb NOT NULL',
        comment: 'All that the feed says of it',
        value: ({ properties }) => JSON.stringify(properties),
      },
      {
        name: 'geometry',
        type: 'jsonb NOT NULL',
        comment: 'GeoJSON point: longitude, latitude, depth in kilometres',
        value: ({ geometry }) => JSON.stringify(geometry),
      },
    ],
  },
  async () => feed.parse(JSON.parse(await readVegaFile('earthquakes.json'))).features,
);
