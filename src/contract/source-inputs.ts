import { z } from 'zod';
import { duration, size, timeout } from './quantities.ts';
import { quietHours } from './quiet-hours.ts';
import { sessionSettings, tuningProfiles, type TuningProfile } from './session-settings.ts';

/** Holders of snapshots ask their sessions every second whether they live. */
const LEAST_IDLE = 10_000;

/** What no snapshot is worth its session for. */
const LEAST_AGE = 1_000;

/** Less than a buffer a second would look like a copy that hangs. */
const LEAST_RATE = 64 * 1024;

/** The holder of a snapshot, and one copy. */
const LEAST_CONNECTIONS = 2;

const profiles = Object.keys(tuningProfiles).filter((name): name is TuningProfile => name in tuningProfiles);

/** The inputs of `extractTable` that are about the server of the source, and sparing it. */
export const sourceInputs = {
  statementTimeout: timeout
    .optional()
    .describe('The longest that one statement may run on the source: "30 minutes".'),
  lockTimeout: timeout
    .prefault('1 minute')
    .describe(
      'How long to wait for a table or partition of the source that somebody has locked, before it is tried again: "5 seconds". Plans wait for ten seconds at the most.',
    ),
  idleTimeout: timeout
    .refine((milliseconds) => milliseconds >= LEAST_IDLE, 'expected at least "10 seconds"')
    .optional()
    .describe(
      'How long a session of the run may be idle in its transaction before the source ends it, so that a worker that hangs holds nothing: "10 minutes".',
    ),
  stallTimeout: timeout
    .prefault('10 minutes')
    .describe(
      'How long nothing may pass between the servers before a copy is tried again: "10 minutes". A view may need longer to give its first row.',
    ),
  maxSnapshotAge: duration
    .refine((milliseconds) => milliseconds >= LEAST_AGE, 'expected at least "1 second"')
    .optional()
    .describe(
      'How old the snapshot of the run may become, since it keeps vacuum on the source from its work: "6 hours". Then the run gives it back, drops what it has staged, and fails.',
    ),
  session: sessionSettings
    .optional()
    .describe(
      'Settings of PostgreSQL for the sessions that read the source: {"work_mem": "256MB", "jit": false}.',
    ),
  tuning: z.enum(profiles).optional().describe('A set of them by name; what "session" says goes before it.'),
  analyze: z
    .boolean()
    .optional()
    .describe('Run ANALYZE on the table first. The role needs the right to; a replica cannot.'),
  maxSourceConnections: z
    .int()
    .min(1)
    .optional()
    .describe(
      'The most sessions of the run on the source at once, those that hold its snapshot included; at least 2 with a snapshot.',
    ),
  maxBytesPerSecond: size
    .refine((bytes) => bytes >= LEAST_RATE, 'expected at least "64kB"')
    .optional()
    .describe('The most data that the run reads in a second, all its copies together: "20MB".'),
  quietHours: quietHours
    .optional()
    .describe(
      'The hours in which the run may begin: {"from": "22:00", "to": "06:00", "timeZone": "Europe/Berlin"}. Without a snapshot it also pauses outside of them.',
    ),
  maxReplicaLag: duration
    .optional()
    .describe(
      'How far a replica as source may be behind its primary; the run waits until it is not: "1 minute".',
    ),
};

interface Sparing {
  readonly consistency?: string;
  readonly maxSourceConnections?: number | undefined;
  readonly maxSnapshotAge?: number | undefined;
}

/** What cannot be had together. */
export function checkSparing(input: Sparing, issues: z.core.$ZodRawIssue[]): void {
  const { consistency, maxSourceConnections: most } = input;
  if (input.maxSnapshotAge !== undefined && consistency === 'none') {
    const message = 'expected none beside "consistency": "none", which holds no snapshot';
    issues.push({ code: 'custom', input, path: ['maxSnapshotAge'], message });
  }
  if (most === undefined || most >= LEAST_CONNECTIONS || consistency === 'none') return;
  issues.push({
    code: 'custom',
    input,
    path: ['maxSourceConnections'],
    message: `expected at least ${LEAST_CONNECTIONS}: one holds the snapshot; with "consistency": "none" 1 is enough`,
  });
}

export interface ShareOfConnections {
  /** The most copies at once. */
  readonly copies: number;
  /** Whether a second session holds the snapshot, too. */
  readonly companion: boolean;
}

/**
 * What becomes of the sessions that a run may have: the holder first, then copies, then the companion of the holder.
 *
 * @param holding whether it holds a snapshot
 * @param least how many copies go before the companion
 */
export function shareConnections(
  most: number | undefined,
  holding: boolean,
  least = LEAST_CONNECTIONS - 1,
): ShareOfConnections {
  if (most === undefined) return { copies: Number.POSITIVE_INFINITY, companion: true };
  if (!holding) return { copies: most, companion: false };
  const companion = most > least + 1;
  return { copies: most - (companion ? 2 : 1), companion };
}
