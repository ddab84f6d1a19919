import { z } from 'zod';
import { size } from './quantities.ts';
import { identifier } from './table-name.ts';

/** A field of PostgreSQL ends at 1 GB, and a text copy writes bytea twice as long. */
const LARGEST_PART = 256 * 1024 * 1024;

const someColumns = z
  .array(identifier)
  .min(1, 'expected at least one column; leave it out where there is none');

/** The inputs of `extractTable` that are about values and about which rows there are. */
export const valueInputs = {
  verify: z
    .enum(['rows', 'checksum'])
    .default('rows')
    .describe(
      '"rows": both servers count what they sent and took. "checksum": both also compute a digest of every column, and a run whose digests differ is refused.',
    ),
  json: z
    .strictObject({
      parse: someColumns.describe(
        'Columns of text or json that get a column <column>_parsed of jsonb beside them.',
      ),
    })
    .optional()
    .describe('JSON in text: {"parse": ["payload"]}.'),
  arrays: z
    .strictObject({
      expand: someColumns.describe('Array columns that get a column <column>_expanded of jsonb beside them.'),
    })
    .optional()
    .describe('Arrays as jsonb: {"expand": ["tags"]}.'),
  largeObjects: someColumns
    .optional()
    .describe(
      'Columns of type oid whose large objects are to be had: each gets a column <column>_content of bytea beside it.',
    ),
  largeObjectPartSize: size
    .refine((bytes) => bytes <= LARGEST_PART, 'expected at most "256MB"')
    .prefault('64MB')
    .describe(
      'Larger objects land in parts of this size in the table <target>__lo (oid, part, data): "64MB".',
    ),
  missingLargeObjects: z
    .enum(['null', 'refuse'])
    .default('null')
    .describe(
      'What an OID becomes that names no large object: "null" content, counted in the result, or the end of the run.',
    ),
  requireAllRows: z
    .boolean()
    .default(false)
    .describe(
      'Refuse to run where row-level security may hide rows from the role; otherwise the result says so.',
    ),
  chunkBy: identifier
    .optional()
    .describe(
      'The column by whose ranges views and foreign tables are cut into chunks; they are one chunk where left out.',
    ),
};
