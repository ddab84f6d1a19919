import {
  ScheduleNotFoundError,
  type ScheduleClient,
  type ScheduleDescription,
  type ScheduleHandle,
} from '@temporalio/client';
import type { Schedule } from './schedule-file.ts';
import { differences, SCHEDULE_MEMO, scheduleOptions } from './schedule-options.ts';

/** What a command does with a file of schedules, told in lines. */
export type Command = (
  client: ScheduleClient,
  schedules: ReadonlyMap<string, Schedule>,
) => Promise<readonly string[]>;

export const commands: Readonly<Record<'apply' | 'diff' | 'delete', Command>> = {
  apply,
  diff,
  delete: remove,
};

/** Makes what is missing and changes what is different. Whether a schedule is paused, and why, is left as it is. */
async function apply(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for (const [id, schedule] of schedules) {
    const handle = client.getHandle(id);
    const present = await described(handle);
    if (present === undefined) {
      await client.create(scheduleOptions(id, schedule));
      lines.push(`${id}: created`);
      continue;
    }
    const changes = differences(id, schedule, present);
    if (changes.length > 0) {
      const { scheduleId: _id, ...options } = scheduleOptions(id, schedule);
      await handle.update(({ state }) => ({ ...options, state: { ...state, ...noteOf(schedule, state) } }));
    }
    lines.push(
      ...(changes.length === 0 ? [`${id}: unchanged`] : changes.map((change) => `${id}: ${change}`)),
    );
  }
  return [...lines, ...(await others(client, schedules))];
}

/** The note of a paused schedule is the reason for it, whoever paused it. */
const noteOf = ({ note }: Schedule, { paused }: ScheduleDescription['state']): { note?: string } =>
  note === undefined || paused ? {} : { note };

async function diff(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for (const [id, schedule] of schedules) {
    const present = await described(client.getHandle(id));
    if (present === undefined) lines.push(`${id}: is not there`);
    else lines.push(...differences(id, schedule, present).map((change) => `${id}: ${change}`));
  }
  return [...lines, ...(await others(client, schedules))];
}

async function remove(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for (const id of schedules.keys()) {
    const handle = client.getHandle(id);
    const there = (await described(handle)) !== undefined;
    if (there) await handle.delete();
    lines.push(`${id}: ${there ? 'deleted' : 'is not there'}`);
  }
  return lines;
}

async function described(handle: ScheduleHandle): Promise<ScheduleDescription | undefined> {
  try {
    return await handle.describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/** Schedules that were made from a file like this and are not in it: told, and left alone. */
async function others(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { scheduleId } of client.list()) {
    if (schedules.has(scheduleId)) continue;
    const present = await described(client.getHandle(scheduleId));
    if (present?.action.memo?.[SCHEDULE_MEMO] !== undefined) lines.push(`${scheduleId}: is not in the file`);
  }
  return lines;
}
