import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { PostgresServer } from '../../local/postgres.ts';
import type { FaultStack } from './fault-stack.ts';
import type { Seat } from './seat.ts';
import type { Subject } from './table-run.ts';

/** The target of a fault, with a source of random numbers. */
export interface Scene {
  readonly stack: FaultStack;
  readonly subjects: readonly Subject[];
  /** Draws a number in [0, 1). */
  readonly random: () => number;
  /** Resolves when the runs have ended and captures have resumed. */
  readonly settled: () => Promise<void>;
}

export interface Fault {
  /** As shown in the table of the documentation. */
  readonly name: string;
  /** Set if the fault may take down every holder of the snapshot, so that runs may restart. */
  readonly losesSnapshot: boolean;
  /** Strikes; resolves when the fault is over. */
  readonly strike: (scene: Scene) => Promise<void>;
  /** Restores the stack once the runs are gone. */
  readonly mend?: (stack: FaultStack) => Promise<void>;
  /** Decides whether the fault is possible on a stack; always possible if omitted. */
  readonly isPossible?: (stack: FaultStack) => boolean;
}

/** Duration of stalls: longer than the `stallTimeout` of the runs, and than the pauses that are tolerated. */
const STALL = 5_000;
/** Longer than a worker may go without a heartbeat. */
const SILENCE = 13_000;

const one = <T>(all: readonly T[], random: () => number): T => {
  const chosen = all[Math.floor(random() * all.length)];
  if (chosen === undefined) throw new Error('there is nothing to choose from');
  return chosen;
};

const aSeat = ({ stack, random }: Scene): Seat => one(stack.seats, random);

async function crash({ stack }: Scene, server: PostgresServer): Promise<void> {
  await server.stop('immediate');
  await server.start();
  await stack.lab.reconnect();
}

async function endSessions(client: Client, role: string, which: string): Promise<void> {
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM
       (SELECT pid FROM pg_stat_activity WHERE usename = '${role}' AND datname = current_database() ${which}) AS found`,
  );
}

/** Changes the network of all workers, for a while or once. */
const toAll =
  (work: (seat: Seat) => void): ((scene: Scene) => void) =>
  ({ stack }) => {
    for (const seat of stack.seats) work(seat);
  };

const stalled =
  (side: 'source' | 'warehouse', during: number): Fault['strike'] =>
  async (scene) => {
    toAll(({ network }) => network[side].stall())(scene);
    await sleep(during);
    toAll(({ network }) => network[side].flow())(scene);
  };

const once =
  (work: (seat: Seat) => void): Fault['strike'] =>
  async (scene) =>
    toAll(work)(scene);

export const faults: readonly Fault[] = [
  {
    name: 'one of two workers is killed (SIGKILL)',
    losesSnapshot: true,
    strike: async (scene) => aSeat(scene).replace('SIGKILL', scene.stack.version),
  },
  {
    name: 'all workers are killed (SIGKILL)',
    losesSnapshot: true,
    strike: async ({ stack }) => {
      await Promise.all(stack.seats.map(async (seat) => seat.replace('SIGKILL', stack.version)));
    },
  },
  {
    name: 'one of two workers hangs until the run is over, and wakes up (SIGSTOP, SIGCONT)',
    losesSnapshot: true,
    strike: async (scene) => {
      const seat = aSeat(scene);
      seat.signal('SIGSTOP');
      try {
        await scene.settled();
      } finally {
        seat.signal('SIGCONT');
      }
    },
  },
  {
    name: 'one of two workers is asked to stop (SIGTERM)',
    losesSnapshot: true,
    strike: async (scene) => aSeat(scene).replace('SIGTERM', scene.stack.version),
  },
  {
    name: 'workers of another version take over (rolling upgrade)',
    losesSnapshot: true,
    isPossible: ({ otherVersion }) => otherVersion !== undefined,
    strike: async ({ stack, settled }) => {
      for (const seat of stack.seats) await seat.replace('SIGTERM', stack.otherVersion ?? stack.version);
      await settled();
    },
    mend: async (stack) => {
      for (const seat of stack.seats) await seat.replace('SIGTERM', stack.version);
    },
  },
  {
    name: 'one worker is cut off from Temporal for 13 s, and goes on with the databases',
    losesSnapshot: true,
    strike: async (scene) => {
      const { temporal } = aSeat(scene).network;
      temporal.stall();
      await sleep(SILENCE);
      temporal.flow();
    },
  },
  {
    name: 'Temporal is stopped and started again',
    losesSnapshot: false,
    strike: async ({ stack: { temporal } }) => {
      await temporal.stop();
      await temporal.start();
    },
  },
  {
    name: 'one session of the source is ended (pg_terminate_backend)',
    losesSnapshot: true,
    strike: async ({ stack: { lab } }) =>
      endSessions(lab.source, 'extractor', "AND state <> 'idle' ORDER BY random() LIMIT 1"),
  },
  {
    name: 'all sessions of the source are ended',
    losesSnapshot: true,
    strike: async ({ stack: { lab } }) => endSessions(lab.source, 'extractor', ''),
  },
  {
    name: 'all sessions of the warehouse are ended',
    losesSnapshot: false,
    strike: async ({ stack: { lab } }) => endSessions(lab.warehouse, 'loader', ''),
  },
  {
    name: 'the source crashes and is started again',
    losesSnapshot: true,
    strike: async (scene) => crash(scene, scene.stack.source),
  },
  {
    name: 'the warehouse crashes and is started again',
    losesSnapshot: false,
    strike: async (scene) => crash(scene, scene.stack.warehouse),
  },
  {
    name: 'the disk of the warehouse is full for 3 s',
    losesSnapshot: false,
    isPossible: ({ disk }) => disk !== undefined,
    strike: async ({ stack }) => {
      const makeRoom = await stack.fillDisk();
      await sleep(3_000);
      await makeRoom();
    },
  },
  {
    name: 'connections to the source are cut',
    losesSnapshot: true,
    strike: once(({ network }) => network.source.cut()),
  },
  {
    name: 'connections to the warehouse are cut',
    losesSnapshot: false,
    strike: once(({ network }) => network.warehouse.cut()),
  },
  {
    name: 'connections to the source stand still for 5 s',
    losesSnapshot: true,
    strike: stalled('source', STALL),
  },
  {
    name: 'connections to the warehouse stand still for 5 s',
    losesSnapshot: false,
    strike: stalled('warehouse', STALL),
  },
  {
    name: 'connections to the source are half closed',
    losesSnapshot: true,
    strike: once(({ network }) => network.source.endTowards('worker')),
  },
  {
    name: 'connections to the warehouse are half closed',
    losesSnapshot: false,
    strike: once(({ network }) => network.warehouse.endTowards('server')),
  },
  {
    name: 'both networks are slow (64 kB/s each connection) for 5 s',
    losesSnapshot: false,
    strike: async (scene) => {
      const both = (rate: number) =>
        toAll(({ network }) => {
          network.source.throttle(rate);
          network.warehouse.throttle(rate);
        })(scene);
      both(64 * 1024);
      await sleep(STALL);
      both(Infinity);
    },
  },
];
