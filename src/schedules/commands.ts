import {
  ScheduleNotFoundError,
  type ScheduleClient,
  type ScheduleDescription,
  type ScheduleHandle,
} from '@temporalio/client';
import { ValueError } from '@temporalio/common';
import { InputError } from '../contract/parse-input.ts';
import { isKeptAsWritten } from './kept-input.ts';
import type { Schedule } from './schedule-file.ts';
import { differences, SCHEDULE_MEMO, scheduleOptions } from './schedule-options.ts';

/** A command on a file of schedules; returns its report, line by line. */
export type Command = (
  client: ScheduleClient,
  schedules: ReadonlyMap<string, Schedule>,
) => Promise<readonly string[]>;

export const commands: Readonly<Record<'apply' | 'diff' | 'delete', Command>> = {
  apply,
  diff,
  delete: remove,
};

async function apply(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for (const [id, schedule] of schedules) {
    const done = await applyOne(client, id, schedule).catch((error: unknown) => {
      throw refusedBy(error, id, lines);
    });
    lines.push(...done.map((change) => `${id}: ${change}`));
  }
  return [...lines, ...(await others(client, schedules))];
}

/** Creates a missing schedule or updates a different one, but leaves as it is whether it is paused, and why. */
async function applyOne(client: ScheduleClient, id: string, schedule: Schedule): Promise<readonly string[]> {
  const handle = client.getHandle(id);
  const present = await described(handle);
  if (present === undefined) {
    await client.create(scheduleOptions(id, schedule));
    return ['created'];
  }
  const changes = await changesOf(client, id, schedule, present);
  if (changes.length === 0) return ['unchanged'];
  const { scheduleId: _id, ...options } = scheduleOptions(id, schedule);
  await handle.update(({ state }) => ({ ...options, state: { ...state, ...noteOf(schedule, state) } }));
  return changes;
}

/** Names the schedule that the server refuses, and what was done before it. */
function refusedBy(error: unknown, id: string, done: readonly string[]): InputError {
  const cause = serverError(error);
  const why = cause instanceof Error ? cause.message : String(cause);
  return new InputError([...done, `${id}: ${why}`].join('\n'), { cause });
}

const serverError = (error: unknown): unknown =>
  error instanceof Error && error.cause !== undefined ? serverError(error.cause) : error;

/** Returns the note to set, if any: that of a paused schedule is the reason for the pause, whoever paused it. */
const noteOf = ({ note }: Schedule, { paused }: ScheduleDescription['state']): { note?: string } =>
  note === undefined || paused ? {} : { note };

async function diff(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for (const [id, schedule] of schedules) {
    const present = await described(client.getHandle(id));
    if (present === undefined) lines.push(`${id}: does not exist`);
    else lines.push(...(await changesOf(client, id, schedule, present)).map((change) => `${id}: ${change}`));
  }
  return [...lines, ...(await others(client, schedules))];
}

async function changesOf(
  client: ScheduleClient,
  id: string,
  schedule: Schedule,
  present: ScheduleDescription,
): Promise<string[]> {
  const changes = differences(id, schedule, present);
  return (await isKeptAsWritten(client, present))
    ? changes
    : [...changes, 'encryption: is not that of the first key'];
}

async function remove(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for (const id of schedules.keys()) {
    const handle = client.getHandle(id);
    const there = (await described(handle)) !== undefined;
    if (there) await handle.delete();
    lines.push(`${id}: ${there ? 'deleted' : 'does not exist'}`);
  }
  return lines;
}

async function described(handle: ScheduleHandle): Promise<ScheduleDescription | undefined> {
  try {
    return await handle.describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    if (!(error instanceof ValueError)) throw error;
    throw new InputError(
      `The schedule "${handle.scheduleId}" cannot be read with DATAKIT_ENCRYPTION_KEYS as it is here, which needs the keys of the workers: ${error.message}`,
    );
  }
}

/** Reports schedules that were made from a file like this but are not in it; they are left alone. */
async function others(client: ScheduleClient, schedules: ReadonlyMap<string, Schedule>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { scheduleId } of client.list()) {
    if (schedules.has(scheduleId)) continue;
    if (await isOurs(client.getHandle(scheduleId))) lines.push(`${scheduleId}: is not in the file`);
  }
  return lines;
}

async function isOurs(handle: ScheduleHandle): Promise<boolean> {
  try {
    const { action } = await handle.describe();
    return action.memo?.[SCHEDULE_MEMO] !== undefined;
  } catch (error) {
    // deleted since it was listed, or encrypted with a key that only others have
    if (error instanceof ScheduleNotFoundError || error instanceof ValueError) return false;
    throw error;
  }
}
