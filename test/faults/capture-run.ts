import { expectAllWritten } from '../capture/fault-moments.ts';
import type { CaptureHandle } from '../setup/capture-lab.ts';
import { CaptureWriter, WRITTEN_TABLE } from '../setup/capture-writer.ts';
import { waitUntil } from '../setup/wait-until.ts';
import type { FaultStack } from './fault-stack.ts';
import type { Moment, Subject } from './table-run.ts';

/** Time limit for a stream to continue after a fault. */
const GOES_ON_WITHIN = 120_000;

/** A capture, from its first copy on, of a table that is being written. */
export class CaptureRun implements Subject {
  readonly mode = 'capture';
  readonly #stack: FaultStack;
  readonly #handle: CaptureHandle;
  readonly #slot: string;
  readonly #writer: CaptureWriter;

  private constructor(stack: FaultStack, handle: CaptureHandle, slot: string, writer: CaptureWriter) {
    this.#stack = stack;
    this.#handle = handle;
    this.#slot = slot;
    this.#writer = writer;
  }

  static async start(stack: FaultStack): Promise<CaptureRun> {
    const { lab, captures } = stack;
    await lab.source.query(
      `DROP TABLE IF EXISTS written; DROP SEQUENCE IF EXISTS stamps; ${WRITTEN_TABLE}; ALTER TABLE written OWNER TO extractor;
       INSERT INTO written (id, v) SELECT -i, repeat('before', 50) FROM generate_series(100001, 103000) i`,
    );
    const writer = new CaptureWriter(stack.source.url(lab.source.database ?? ''));
    const slot = captures.slotName();
    const handle = await captures.start({
      tables: ['written'],
      slot,
      mirror: true,
      stallTimeout: '3 seconds',
    });
    return new CaptureRun(stack, handle, slot, writer);
  }

  get runId(): string {
    return this.#handle.firstExecutionRunId;
  }

  /** Needs to keep nothing: changes lost after being written would show in the final comparison with the table. */
  async look(): Promise<Moment | undefined> {
    const { rows } = await this.#stack.lab.warehouse.query<{ status: string }>(
      'SELECT status FROM bronze.cdc_positions WHERE slot = $1',
      [this.#slot],
    );
    const status = rows[0]?.status;
    if (status === 'copying') return 'first copy';
    return status === 'streaming' ? 'streaming' : undefined;
  }

  async endedBefore(): Promise<boolean> {
    return false;
  }

  /** Asks the warehouse: the workflow cannot be queried while its tasks go to a worker that hangs. */
  async settled(): Promise<void> {
    await waitUntil(async () => (await this.look()) === 'streaming', GOES_ON_WITHIN);
    await this.#stack.captures.untilWritten(this.#slot, GOES_ON_WITHIN);
  }

  async problems(): Promise<string[]> {
    await this.#writer.stop();
    try {
      await expectAllWritten(this.#stack.captures, this.#slot, true);
      return [];
    } catch (error) {
      return [`the capture: ${String(error)}`];
    } finally {
      await this.#stack.captures.end(this.#handle, this.#slot);
    }
  }
}
