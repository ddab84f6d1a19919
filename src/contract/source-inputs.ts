import { z } from 'zod';
import { duration, size, stallTimeout, timeout } from './quantities.ts';
import { quietHours } from './quiet-hours.ts';
import type { Refuse } from './refuse.ts';
import { sessionSettings, tuningProfiles, type TuningProfile } from './session-settings.ts';

/** Milliseconds. Snapshot holders query their sessions every second. */
const LEAST_IDLE = 10_000;

/** Milliseconds. No younger snapshot is worth a session. */
const LEAST_AGE = 1_000;

/** Less than one buffer a second would look like a stalled copy. */
const LEAST_RATE = 64 * 1024;

/** One to hold a snapshot, and one to copy. */
const LEAST_CONNECTIONS = 2;

const profiles = Object.keys(tuningProfiles).filter((name): name is TuningProfile => name in tuningProfiles);

/** The inputs of `extractTable` that concern the source server and the load on it. */
export const sourceInputs = {
  statementTimeout: timeout
    .optional()
    .describe(
      'How long one statement may run on the source: "30 minutes", at most "24 days". Default: the setting of the server.',
    ),
  lockTimeout: timeout
    .prefault('1 minute')
    .describe(
      'How long an attempt waits for a locked table or partition of the source before it fails and is retried: "5 seconds", at most "24 days". Planning waits at most ten seconds.',
    ),
  idleTimeout: timeout
    .refine((milliseconds) => milliseconds >= LEAST_IDLE, 'expected at least "10 seconds"')
    .optional()
    .describe(
      'How long a session of the run may be idle in its transaction before the source ends it, so that a hung worker holds nothing open: "10 minutes", from "10 seconds" to "24 days". Default: no limit.',
    ),
  stallTimeout: stallTimeout
    .prefault('10 minutes')
    .describe(
      'How long a copy may move no data before it is retried: "10 minutes", at least "1 second". A view may need longer to return its first row.',
    ),
  maxSnapshotAge: duration
    .refine((milliseconds) => milliseconds >= LEAST_AGE, 'expected at least "1 second"')
    .optional()
    .describe(
      'Maximum age of the snapshot of the run, which holds back vacuum on the source: "6 hours". After that the run releases it, drops its staged data and fails.',
    ),
  session: sessionSettings
    .optional()
    .describe(
      'PostgreSQL settings for the sessions that read the source: {"work_mem": "256MB", "jit": false}.',
    )
    .meta({ examples: [{ work_mem: '256MB' }] }),
  tuning: z.enum(profiles).optional().describe('A named set of such settings. "session" overrides it.'),
  analyze: z
    .boolean()
    .optional()
    .describe(
      'Run ANALYZE on the table first. The role needs MAINTAIN on it and each of its partitions, or before PostgreSQL 17 to own them. Not on a replica, and not for a view.',
    ),
  maxSourceConnections: z
    .int()
    .min(1)
    .optional()
    .describe(
      'How many sessions the run may have on the source at once, including those that hold its snapshot; at least 2 with a snapshot.',
    ),
  maxBytesPerSecond: size
    .refine((bytes) => bytes >= LEAST_RATE, 'expected at least "64kB"')
    .optional()
    .describe('How much data the run may read per second, all its copies together: "20MB", at least "64kB".'),
  quietHours: quietHours
    .optional()
    .describe(
      'Hours in which the run may start: {"from": "22:00", "to": "06:00", "timeZone": "Europe/Berlin"}. "timeZone" defaults to "UTC". With "consistency": "none" the run also pauses outside of them.',
    )
    .meta({ examples: [{ from: '22:00', to: '06:00' }] }),
  maxReplicaLag: duration
    .optional()
    .describe(
      'How far a replica may be behind its primary: "1 minute". Otherwise a plan or copy waits for about twenty minutes, then the run fails (ReplicaLagging).',
    ),
};

interface Dependent {
  readonly consistency?: string;
  readonly maxSourceConnections?: number | undefined;
  readonly maxSnapshotAge?: number | undefined;
}

/** Refuses inputs that contradict "consistency". */
export function checkSourceInputs(
  { consistency, maxSourceConnections: most = LEAST_CONNECTIONS, maxSnapshotAge }: Dependent,
  refuse: Refuse,
): void {
  const holdsNone = consistency === 'none';
  if (holdsNone && maxSnapshotAge !== undefined)
    refuse('maxSnapshotAge', 'not allowed with "consistency": "none", which holds no snapshot');
  if (!holdsNone && most < LEAST_CONNECTIONS)
    refuse(
      'maxSourceConnections',
      `expected at least ${LEAST_CONNECTIONS}: one holds the snapshot; with "consistency": "none" 1 is enough`,
    );
}

export interface ShareOfConnections {
  /** Maximum number of copies at once. */
  readonly copies: number;
  /** True if a second session also holds the snapshot. */
  readonly companion: boolean;
}

/**
 * Divides the sessions that a run may have: the holder first, then copies, then the holder's companion.
 *
 * @param holding whether the run holds a snapshot
 * @param least how many sessions are kept for copies before the companion gets one
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
