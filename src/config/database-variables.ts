import { z } from 'zod';
import { sslModes } from '../postgres/connection-settings.ts';
import { timeout } from '../contract/quantities.ts';

export function wholeNumber(least: number, most: number) {
  const expected = { error: `expected a whole number from ${least} to ${most}` };
  return z.coerce.number(expected).int(expected).min(least, expected).max(most, expected);
}

/** Seconds where there is no unit, as in libpq; parsed to milliseconds. */
const seconds = z
  .string()
  .transform((text) => (/^\s*\d+\s*$/.test(text) ? `${text.trim()}s` : text))
  .pipe(timeout);

const MOST_SESSIONS = 1000;

/** What is said of each database, in variables that begin with `SOURCE_`, `SOURCE_<NAME>_` or `WAREHOUSE_`. */
export const databaseVariables = z.object({
  DATABASE_URL: z
    .string()
    .optional()
    .describe('Where it is: postgresql://user:password@host:5432/database, with the parameters of libpq.'),
  PG_PASSWORD: z.string().optional().describe('The password, where the URL has none.'),
  PG_OPTIONS: z.string().optional().describe('Settings of every session, as PGOPTIONS of libpq has them.'),
  PG_SSLMODE: z
    .enum(sslModes, { error: `expected one of ${sslModes.join(', ')}` })
    .default('prefer')
    .describe('How a connection is encrypted and the server verified, as in libpq.'),
  PG_SSLNEGOTIATION: z
    .enum(['postgres', 'direct'], { error: 'expected postgres or direct' })
    .default('postgres')
    .describe(
      '"direct" begins with TLS at once; for servers since PostgreSQL 17, and sslmode "require" or above.',
    ),
  PG_SSLROOTCERT: z
    .string()
    .optional()
    .describe(
      'File of the authorities that may have signed the certificate of the server; "system": the well-known.',
    ),
  PG_SSLCRL: z.string().optional().describe('File of certificates that are revoked.'),
  PG_SSLCERT: z.string().optional().describe('File of the certificate of the worker.'),
  PG_SSLKEY: z.string().optional().describe('File of its private key.'),
  PG_SSLPASSWORD: z.string().optional().describe('The password of the private key, where it is encrypted.'),
  PG_CONNECT_TIMEOUT: seconds.prefault('10').describe('How long a connection may take to come about.'),
  PG_POOL_SIZE: wholeNumber(1, MOST_SESSIONS)
    .default(10)
    .describe('Sessions that a worker keeps open for a while when they are not used.'),
  PG_POOL_MAX_OVERFLOW: wholeNumber(0, MOST_SESSIONS)
    .optional()
    .describe(
      'Sessions that it opens besides when they are needed; what its activities can use where left out.',
    ),
  PG_POOL_TIMEOUT: seconds.prefault('30').describe('How long an activity waits for one of them.'),
});

export type DatabaseVariables = z.output<typeof databaseVariables>;

/** Those whose value may be in a file, which `<VARIABLE>_FILE` names. */
export const secretVariables = ['DATABASE_URL', 'PG_PASSWORD', 'PG_SSLPASSWORD'] as const;
