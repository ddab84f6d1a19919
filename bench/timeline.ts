import type { WorkflowHandle } from '@temporalio/client';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type Event = NonNullable<History['events']>[number];

/** When an activity was scheduled, started and ended, in milliseconds since its run began. */
export interface ActivityTimes {
  readonly activity: string;
  readonly scheduled: number;
  readonly started: number;
  readonly ended: number;
}

export interface Timeline {
  readonly activities: readonly ActivityTimes[];
  /** When the run ended. */
  readonly ended: number;
}

/** Reads the completed activities of a run from its history. */
export async function timelineOf(handle: WorkflowHandle): Promise<Timeline> {
  const events = (await handle.fetchHistory()).events ?? [];
  const began = at(events[0]);
  const byNumber = new Map(events.map((event) => [String(event.eventId), event]));
  const activities = events.flatMap((event): ActivityTimes[] => {
    const done = event.activityTaskCompletedEventAttributes;
    if (!done) return [];
    const scheduled = byNumber.get(String(done.scheduledEventId));
    return [
      {
        activity: scheduled?.activityTaskScheduledEventAttributes?.activityType?.name ?? '',
        scheduled: at(scheduled) - began,
        started: at(byNumber.get(String(done.startedEventId))) - began,
        ended: at(event) - began,
      },
    ];
  });
  return { activities, ended: at(events.at(-1)) - began };
}

const at = (event: Event | undefined): number =>
  Number(event?.eventTime?.seconds ?? 0) * 1000 + (event?.eventTime?.nanos ?? 0) / 1e6;
