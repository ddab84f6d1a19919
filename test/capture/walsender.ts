import type { Lab } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

interface Captured {
  readonly lab: Lab;
}

/** Returns the process id of the server's end of the stream of a slot; null if nobody reads from it. */
export async function walsenderOf({ lab }: Captured, slot: string): Promise<number | null> {
  const { rows } = await lab.source.query<{ pid: number | null }>(
    'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  return rows[0]?.pid ?? null;
}

/** Terminates the walsender, as an administrator might. */
export async function endWalsender({ lab }: Captured, slot: string): Promise<void> {
  await lab.source.query(
    'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL',
    [slot],
  );
}

/** Terminates the walsender, and waits until it is gone. */
export async function endStream(captured: Captured, slot: string): Promise<void> {
  await endWalsender(captured, slot);
  await waitUntil(async () => (await walsenderOf(captured, slot)) === null);
}

/** Does something while the walsender of a slot is stopped; returns the walsender's process id. */
export async function whileStopped(
  captured: Captured,
  slot: string,
  work: () => Promise<void>,
): Promise<number> {
  const walsender = await walsenderOf(captured, slot);
  if (walsender === null) throw new Error('nobody reads from the slot');
  process.kill(walsender, 'SIGSTOP');
  try {
    await work();
  } finally {
    process.kill(walsender, 'SIGCONT');
  }
  return walsender;
}
