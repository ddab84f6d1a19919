import type { ScheduleClient, ScheduleDescription } from '@temporalio/client';
import type { Payload } from '@temporalio/common';

/**
 * Returns true if Temporal keeps the input of a schedule as this client would write it: in the clear without keys,
 * else encrypted with the first of them. Schedules from before there were keys, or before a newer one, differ.
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

/** Returns a payload's encoding, including its key. */
function encodingOf(payload: Payload | undefined): string {
  const said = Object.entries(payload?.metadata ?? {}).map(
    ([name, text]) => `${name}: ${Buffer.from(text).toString()}`,
  );
  return said.toSorted().join();
}
