import {
  ScheduleOverlapPolicy,
  type CalendarSpec,
  type ScheduleDescription,
  type ScheduleOptions,
} from '@temporalio/client';
import { calendarSpec } from './calendar.ts';
import type { Schedule } from './schedule-file.ts';

/** Key in the memo of every run that a schedule of ours starts, by which the schedule is recognised as ours. */
export const SCHEDULE_MEMO = 'datakitSchedule';

const overlapPolicies = {
  skip: ScheduleOverlapPolicy.SKIP,
  bufferOne: ScheduleOverlapPolicy.BUFFER_ONE,
  bufferAll: ScheduleOverlapPolicy.BUFFER_ALL,
  cancelOther: ScheduleOverlapPolicy.CANCEL_OTHER,
  terminateOther: ScheduleOverlapPolicy.TERMINATE_OTHER,
  allowAll: ScheduleOverlapPolicy.ALLOW_ALL,
} as const;

export function scheduleOptions(id: string, schedule: Schedule): ScheduleOptions {
  return {
    scheduleId: id,
    spec: { ...timesOf(schedule), timezone: schedule.timeZone, jitter: schedule.jitter ?? 0 },
    action: {
      type: 'startWorkflow',
      workflowType: schedule.workflow,
      workflowId: id,
      taskQueue: schedule.taskQueue,
      args: [schedule.input],
      memo: { [SCHEDULE_MEMO]: id },
    },
    policies: {
      overlap: overlapPolicies[schedule.overlap],
      catchupWindow: schedule.catchupWindow,
      pauseOnFailure: schedule.pauseOnFailure,
    },
    state: { paused: schedule.paused, note: schedule.note ?? '' },
  };
}

function timesOf({ cron, every, offset, calendar }: Schedule) {
  if (every !== undefined) return { intervals: [{ every, offset: offset ?? 0 }] };
  if (calendar !== undefined) return { calendars: calendar.map(commented) };
  // what follows # is kept as the comment, as for calendars
  return { cronExpressions: [cron ?? []].flat().map((expression) => `${expression} # ${expression}`) };
}

/** Adds the calendar as written as a comment, since the server returns only what it made of the calendar. */
const commented = (calendar: NonNullable<Schedule['calendar']>[number]): CalendarSpec => ({
  ...calendarSpec(calendar),
  comment: JSON.stringify(calendar),
});

/** Returns a line for each difference between a schedule and the file. */
export function differences(id: string, schedule: Schedule, present: ScheduleDescription): string[] {
  const wanted = scheduleOptions(id, schedule);
  const { action, spec, policies } = present;
  const compared: readonly (readonly [string, unknown, unknown])[] = [
    ['workflow', action.workflowType, schedule.workflow],
    ['task queue', action.taskQueue, schedule.taskQueue],
    ['input', action.args?.[0], schedule.input],
    ['times', timesNow(spec), timesWanted(schedule)],
    ['timeZone', spec.timezone ?? 'UTC', schedule.timeZone],
    ['jitter', spec.jitter ?? 0, schedule.jitter ?? 0],
    ['overlap', policies.overlap, wanted.policies?.overlap],
    ['catchupWindow', policies.catchupWindow, schedule.catchupWindow],
    ['pauseOnFailure', policies.pauseOnFailure, schedule.pauseOnFailure],
  ];
  return compared
    .filter(([, before, after]) => canonical(before) !== canonical(after))
    .map(([name, before, after]) => `${name}: ${canonical(before)} → ${canonical(after)}`);
}

function timesNow({ calendars = [], intervals = [] }: ScheduleDescription['spec']): unknown {
  return [
    ...calendars.map(({ comment }) => comment ?? ''),
    ...intervals.map(({ every, offset }) => ({ every, offset: offset ?? 0 })),
  ];
}

function timesWanted({ cron, every, offset, calendar }: Schedule): unknown {
  if (every !== undefined) return [{ every, offset: offset ?? 0 }];
  return calendar === undefined ? [cron ?? []].flat() : calendar.map((one) => JSON.stringify(one));
}

/** Returns JSON with sorted keys. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? 'nothing'
  );
}
