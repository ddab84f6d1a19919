import { Context, log } from '@temporalio/activity';
import type { StreamOutcome, StreamRequest } from '../contract/capture-activities.ts';
import { STREAM_PROGRESS_SIGNAL, type StreamProgress } from '../contract/capture-changes.ts';
import { streamChanges as stream } from '../capture/stream-changes.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';
import { StreamMeter } from './stream-meter.ts';

/** Milliseconds between signals, which cost history events: while changes arrive, and while there are none. */
const TELL_INTERVAL = { busy: 30_000, idle: 15 * 60_000 };

export async function streamChanges(
  { streamingWarehouse, ready, streamingSourceNamed }: Dependencies,
  request: StreamRequest,
): Promise<StreamOutcome> {
  const { slot, source, maxSlotLag } = request.input;
  return runActivity(`streaming from slot "${slot}"`, async ({ signal, report }) => {
    await ready();
    using meter = new StreamMeter(source, slot);
    const teller = new Teller(request.tellRarely === true, maxSlotLag);
    const outcome = await stream(request, {
      warehouse: streamingWarehouse,
      source: streamingSourceNamed(source),
      signal,
      onProgress: (progress) => {
        report(progress);
        meter.record(progress);
        teller.tell(progress);
      },
    });
    log.info('streamed', { slot, ...outcome });
    return outcome;
  });
}

/** Signals the stream's progress to the workflow from time to time. */
class Teller {
  #toldAt = performance.now() - TELL_INTERVAL.busy + 2_000;
  #told: StreamProgress | undefined;
  /** Changes that were written before this attempt. */
  #before: number | undefined;
  readonly #context = Context.current();
  readonly #busyInterval: number;
  readonly #maxSlotLag: number;

  constructor(rarely: boolean, maxSlotLag = Infinity) {
    this.#busyInterval = rarely ? TELL_INTERVAL.idle : TELL_INTERVAL.busy;
    this.#maxSlotLag = maxSlotLag;
  }

  tell(progress: StreamProgress): void {
    this.#before ??= progress.changes;
    const busy =
      progress.changes !== (this.#told?.changes ?? this.#before) ||
      progress.slotLagBytes > 2 * (this.#told?.slotLagBytes ?? 0) + 2 ** 24;
    const toldOfLag = this.#exceeds(this.#told) === this.#exceeds(progress);
    if (toldOfLag && performance.now() - this.#toldAt < (busy ? this.#busyInterval : TELL_INTERVAL.idle))
      return;
    this.#toldAt = performance.now();
    this.#told = progress;
    const { client, info } = this.#context;
    if (info.workflowExecution === undefined) return;
    const { workflowId, runId } = info.workflowExecution;
    client.workflow
      .getHandle(workflowId, runId)
      .signal(STREAM_PROGRESS_SIGNAL, progress)
      .catch(() => undefined); // the next one comes soon
  }

  /** Crossing this limit is signalled at once, so that the workflow starts and stops reacting without delay. */
  #exceeds(progress: StreamProgress | undefined): boolean {
    return (progress?.slotLagBytes ?? 0) > this.#maxSlotLag;
  }
}
