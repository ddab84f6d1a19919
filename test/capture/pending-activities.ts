import type { CaptureHandle } from '../setup/capture-lab.ts';

/** Returns the types of the activities that a capture waits for. */
export async function pendingActivities(handle: CaptureHandle): Promise<string[]> {
  const { raw } = await handle.describe();
  return raw.pendingActivities?.map(({ activityType }) => activityType?.name ?? '') ?? [];
}
