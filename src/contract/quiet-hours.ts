import { z } from 'zod';

const expectedTime = 'expected a time of day such as "22:00"';
const timeOfDay = z.string({ error: expectedTime }).regex(/^([01]\d|2[0-3]):[0-5]\d$/, expectedTime);

const timeZone = z
  .string({ error: 'expected a time zone such as "Europe/Berlin"' })
  .refine(isTimeZone, 'expected a time zone such as "Europe/Berlin"');

function isTimeZone(name: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export const quietHours = z
  .strictObject({
    from: timeOfDay.describe('Start: "22:00".'),
    to: timeOfDay.describe('End: "06:00". Earlier than "from" means the next day.'),
    timeZone: timeZone.default('UTC').describe('Time zone of both: "Europe/Berlin".'),
  })
  .refine(({ from, to }) => from !== to, 'expected "from" and "to" to differ');

export type QuietHours = z.output<typeof quietHours>;

const MINUTE = 60_000;
const DAY_MINUTES = 24 * 60;

/** Returns the milliseconds until the quiet hours begin; 0 within them. */
export function untilQuiet({ from, to, timeZone: zone }: QuietHours, now: number): number {
  const [begin, end, time] = [minutesOf(from), minutesOf(to), minuteOfDay(now, zone)];
  const within = begin < end ? time >= begin && time < end : time >= begin || time < end;
  if (within) return 0;
  const minutes = (begin - time + DAY_MINUTES) % DAY_MINUTES;
  const wait = minutes * MINUTE - (now % MINUTE);
  const corrected = wait - MINUTE * lateness(minuteOfDay(now + wait, zone) - begin);
  // when clocks go forward that time may not exist that night
  return minuteOfDay(now + corrected, zone) === begin ? corrected : wait;
}

/** Returns how many minutes too late a time of day is, negative if too early: clocks may change during the wait. */
function lateness(minutes: number): number {
  return ((minutes + DAY_MINUTES * 1.5) % DAY_MINUTES) - DAY_MINUTES / 2;
}

function minutesOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return hours * 60 + minutes;
}

function minuteOfDay(now: number, zone: string): number {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return minutesOf(format.format(now));
}
