import { z } from 'zod';
import { size } from './quantities.ts';
import { identifier } from './table-name.ts';

/** PostgreSQL limits a field to 1 GB, and a text COPY doubles the length of bytea. */
const LARGEST_PART = 256 * 1024 * 1024;

const someColumns = z.array(identifier).min(1, 'expected at least one column, or leave it out');

/** The inputs of `extractTable` that concern values and the completeness of rows. */
export const valueInputs = {
  verify: z
    .enum(['rows', 'checksum'])
    .default('rows')
    .describe(
      '"rows": both servers count the rows that they sent and received. "checksum": both also compute a checksum of every column, and the run fails if they differ.',
    ),
  json: z
    .strictObject({
      parse: someColumns
        .describe('Columns of text or json. Each gets a column <column>_parsed of jsonb.')
        .meta({ examples: [['payload']] }),
    })
    .optional()
    .describe('JSON in text: {"parse": ["payload"]} adds a column payload_parsed of jsonb.')
    .meta({ examples: [{ parse: ['payload'] }] }),
  arrays: z
    .strictObject({
      expand: someColumns
        .describe('Array columns. Each gets a column <column>_expanded of jsonb.')
        .meta({ examples: [['tags']] }),
    })
    .optional()
    .describe('Arrays as jsonb: {"expand": ["tags"]} adds a column tags_expanded of jsonb.')
    .meta({ examples: [{ expand: ['tags'] }] }),
  largeObjects: someColumns
    .optional()
    .describe(
      'Columns of type oid whose large objects to copy. Each gets a column <column>_content of bytea.',
    )
    .meta({ examples: [['document']] }),
  largeObjectPartSize: size
    .refine((bytes) => bytes <= LARGEST_PART, 'expected at most "256MB"')
    .prefault('64MB')
    .describe(
      'Larger objects are stored in parts of this size in the table <target>__lo (oid, part, data): "64MB", at most "256MB".',
    ),
  missingLargeObjects: z
    .enum(['null', 'refuse'])
    .default('null')
    .describe(
      'What to do if an OID names no large object. "null": its content is NULL, and the warnings count it. "refuse": the run fails.',
    ),
  requireAllRows: z
    .boolean()
    .default(false)
    .describe('Fail if row-level security may hide rows from the role. Otherwise the result only warns.'),
  chunkBy: identifier
    .optional()
    .describe('Divide a view or foreign table into chunks by ranges of this column. Default: one chunk.'),
};
