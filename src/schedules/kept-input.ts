import type { ScheduleClient, ScheduleDescription } from '@temporalio/client';
import type { Payload } from '@temporalio/common';

/**
 * Whether Temporal keeps the input of a schedule as this client would write it: in the clear without keys, else
 * encrypted with the first of them. Of schedules from before there were keys, or from before a newer one, it is not so.
 */
export async function isKeptAsWritten(
  { options }: ScheduleClient,
  { raw }: ScheduleDescription,
): Promise<boolean> {
  const payload = raw.schedule?.action?.startWorkflow?.input?.payloads?.[0];
  const codec = options.loadedDataConverter.payloadCodecs[0];
  if (payload === undefined || codec === undefined) return true;
  const [written] = await codec.encode([payload]);
  return encodingOf(payload) === encodingOf(written);
}

/** What a payload says of its encoding, the key included. */
function encodingOf(payload: Payload | undefined): string {
  const said = Object.entries(payload?.metadata ?? {}).map(
    ([name, text]) => `${name}: ${Buffer.from(text).toString()}`,
  );
  return said.toSorted().join();
}
