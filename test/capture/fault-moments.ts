import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import type { TemporalServer } from '../../local/temporal.ts';
import type { WorkerProcess } from '../../local/worker-process.ts';
import { replayLog, type CaptureHandle, type CaptureLab } from '../setup/capture-lab.ts';
import { CaptureWriter, WRITTEN_TABLE } from '../setup/capture-writer.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

export type Fault = () => Promise<void>;

/** Crashes a server and starts it again. */
export function crash({ lab }: CaptureLab, server: PostgresServer): Fault {
  return async () => {
    await server.stop('immediate');
    await server.start();
    await lab.reconnect();
  };
}

export function restart(temporal: TemporalServer): Fault {
  return async () => {
    await temporal.stop();
    await temporal.start();
  };
}

/** A separate worker process that can be killed and is then replaced by another. */
export class KilledWorker implements AsyncDisposable {
  readonly #lab: Lab;
  #process: WorkerProcess;

  private constructor(lab: Lab, process: WorkerProcess) {
    this.#lab = lab;
    this.#process = process;
  }

  static async start(lab: Lab): Promise<KilledWorker> {
    return new KilledWorker(lab, await lab.startWorkerProcess());
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    this.#process = await this.#lab.startWorkerProcess();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
  }
}

/** Disturbs a capture at random moments while rows are written, and expects every change exactly once. */
export async function expectExactlyOnce(
  captures: CaptureLab,
  { slot, mirror, moments }: { readonly slot: string; readonly mirror: boolean; readonly moments: number },
  faults: readonly Fault[],
): Promise<void> {
  const { lab } = captures;
  await lab.source.query(WRITTEN_TABLE);
  await lab.source.query(
    `INSERT INTO written (id, v) SELECT -i, 'before' FROM generate_series(100001, 101000) i`,
  );
  const writer = new CaptureWriter(lab.sourceUrl);
  const handle = await captures.start({ tables: ['written'], slot, mirror });
  try {
    await captures.untilStreaming(handle);
    for (let moment = 0; moment < moments; moment += 1) {
      for (const fault of faults) {
        await sleep(Math.random() * 700);
        await fault();
      }
    }
  } finally {
    await writer.stop();
  }
  await expectAllWritten(captures, slot, mirror);
  await untilAnswering(captures, handle);
  await captures.end(handle, slot);
}

/**
 * Waits until the workflow says that it streams. Tasks of a workflow that die with their workers time out after ten
 * seconds, the eighth in a row after more than a minute; from the third on, the server refuses queries until one ends.
 */
async function untilAnswering(captures: CaptureLab, handle: CaptureHandle): Promise<void> {
  const phase = async () => (await captures.status(handle).catch(() => undefined))?.phase;
  await waitUntil(async () => (await phase()) === 'streaming', 300_000);
}

/** Expects every change exactly once and in whole transactions, and in the end a copy that equals the table. */
export async function expectAllWritten(captures: CaptureLab, slot: string, mirror: boolean): Promise<void> {
  const { lab } = captures;
  await captures.untilWritten(slot, 120_000);
  const { rows: twice } = await lab.warehouse.query(
    `SELECT data ->> 'stamp' FROM bronze.cdc_changes WHERE slot = $1 AND operation IN ('INSERT', 'UPDATE')
      GROUP BY 1 HAVING count(*) > 1`,
    [slot],
  );
  expect(twice, 'versions that are there twice').toEqual([]);
  const { rows: torn } = await lab.warehouse.query(
    `SELECT commit_lsn FROM bronze.cdc_changes WHERE slot = $1 AND "table" IS NOT NULL GROUP BY commit_lsn
      HAVING count(*) <> max(ordinal) OR count(DISTINCT xid) <> 1`,
    [slot],
  );
  expect(torn, 'transactions that are not whole').toEqual([]);
  if (mirror) {
    await expectSameRows(lab, 'written', 'bronze.br_written');
  } else {
    await replayLog(lab, { slot, table: 'written', key: 'id', into: 'replayed', from: 'bronze.br_written' });
    await expectSameRows(lab, 'written', 'public.replayed');
  }
}
