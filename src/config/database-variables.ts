import { z } from 'zod';
import { timeout } from '../contract/quantities.ts';
import { sslModes } from '../postgres/connection-settings.ts';
import { wholeNumber } from './variables.ts';

/** A duration, in seconds as in libpq if it has no unit; parsed to milliseconds. */
const seconds = z
  .string()
  .transform((text) => (/^\s*\d+\s*$/.test(text) ? `${text.trim()}s` : text))
  .pipe(timeout);

const MOST_SESSIONS = 1000;

/** Variables of each database, prefixed with `SOURCE_`, `SOURCE_<NAME>_` or `WAREHOUSE_`. */
export const databaseVariables = z.object({
  DATABASE_URL: z
    .string()
    .optional()
    .describe('Connection URL: postgresql://user:password@host:5432/database, with the parameters of libpq.'),
  PG_PASSWORD: z.string().optional().describe('Password, if the URL has none.'),
  PG_OPTIONS: z.string().optional().describe('Settings of every session, written as in PGOPTIONS of libpq.'),
  PG_SSLMODE: z
    .enum(sslModes, { error: `expected one of ${sslModes.join(', ')}` })
    .default('prefer')
    .describe('Encryption and verification of the server, as in libpq.'),
  PG_SSLNEGOTIATION: z
    .enum(['postgres', 'direct'], { error: 'expected postgres or direct' })
    .default('postgres')
    .describe(
      '"direct" starts TLS without asking first; it needs PostgreSQL 17 and sslmode "require" or above.',
    ),
  PG_SSLROOTCERT: z
    .string()
    .optional()
    .describe('File of trusted certificate authorities, or "system" for the well-known ones.'),
  PG_SSLCRL: z.string().optional().describe('File of revoked certificates.'),
  PG_SSLCERT: z.string().optional().describe("File of the worker's certificate."),
  PG_SSLKEY: z.string().optional().describe('File of its private key.'),
  PG_SSLPASSWORD: z.string().optional().describe('Password of the private key, if it is encrypted.'),
  PG_CONNECT_TIMEOUT: seconds.prefault('10').describe('How long to wait for a connection.'),
  PG_POOL_SIZE: wholeNumber(1, MOST_SESSIONS)
    .default(10)
    .describe('Sessions that stay open for reuse; an idle one is closed after five seconds.'),
  PG_POOL_MAX_OVERFLOW: wholeNumber(0, MOST_SESSIONS)
    .optional()
    .describe(
      'Further sessions, opened when needed and closed after use. Default: as many as the activities can use.',
    ),
  PG_POOL_TIMEOUT: seconds.prefault('30').describe('How long an activity waits for a free session.'),
});

export type DatabaseVariables = z.output<typeof databaseVariables>;

/** Variables whose value may be in a file, which `<VARIABLE>_FILE` names. */
export const secretVariables = ['DATABASE_URL', 'PG_PASSWORD', 'PG_SSLPASSWORD'] as const;
