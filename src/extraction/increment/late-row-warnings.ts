import type { CheckpointLimit, Doubt } from '../../bronze/incremental-plan.ts';
import type { Lookback } from '../../contract/incremental.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { isNumber, isTime, type Cursor } from '../../postgres/cursor.ts';
import { HOUR } from './cursor-bounds.ts';

export interface LateRows {
  readonly table: TableName;
  readonly cursor: Cursor;
  /** As given in the input. */
  readonly lookback: Lookback | undefined;
}

/** Warns of late rows that only a lookback keeps from being missed. */
export function lateRowWarnings({ doubt }: CheckpointLimit, rows: LateRows): string[] {
  return [
    ...(doubt === undefined ? [] : [lateRowWarning(doubt, rows)]),
    ...(missesRepeatedHour(rows) ? [repeatedHour(rows.cursor)] : []),
  ];
}

export function lateRowWarning(doubt: Doubt, rows: LateRows): string {
  return `${reasons[doubt](formatTableName(rows.table), `"${rows.cursor.column}"`)}. ${coverage(rows)}. ${remedy(doubt, rows)}.`;
}

const reasons: Readonly<Record<Doubt, (table: string, column: string) => string>> = {
  elsewhere: (table) =>
    `Open transactions of ${table} could not be seen: some of its rows are not in ordinary tables of this server (a foreign table, a materialized view)`,
  subscription: (table) =>
    `${table} is fed by a subscription, whose rows arrive in the order in which the publisher committed them, however old their values are`,
  standby: (table) => `Open transactions of ${table} could not be seen on a standby`,
  privilege: (table) => `Open transactions of ${table} could not be seen`,
  tracking: (table) =>
    `Open transactions of ${table} could not be seen: a session works without track_activities`,
  view: (table) => `${table} is a view, and who was writing to the tables beneath it could not be seen`,
  index: (table, column) => `Open transactions of ${table} could not be seen without an index on ${column}`,
  values: (table, column) =>
    `A transaction may take a value of ${column} before it writes to ${table}: it is not an identity column, and its default is not nextval of a single sequence (without CACHE or CYCLE)`,
  writers: (table) =>
    `Other transactions were writing to ${table} for a long time when the first checkpoint was taken`,
};

function coverage({ cursor, lookback }: LateRows): string {
  if (lookback === undefined && isTime(cursor.kind))
    return `Rows that commit late are covered by the default lookback of ${cursor.kind === 'date' ? 'a day' : 'an hour'} only`;
  if (lookback === undefined || lookback.size === '0')
    return 'Rows that commit late with a smaller value are missed';
  return 'Rows that commit late are covered by the lookback only';
}

function remedy(doubt: Doubt, { cursor: { kind } }: LateRows): string {
  switch (doubt) {
    case 'standby':
      return 'To see them, read the primary';
    case 'privilege':
      return 'To see them, grant pg_read_all_stats to the role';
    case 'tracking':
      return 'To see them, set track_activities = on for the server, its databases and roles';
    case 'index':
      return 'To see them, make an index that begins with the column';
    default:
      if (isTime(kind)) return 'Set "incremental.lookback" to more than the time that a row can be late';
      if (isNumber(kind))
        return 'Set "incremental.lookback" to more than a late value can be behind the newest';
      return `A ${kind} has no lookback: extract everything again now and then ("resetCheckpoint"), or choose a cursor of another type`;
  }
}

/** When clocks are set back at the end of summer time, the second hour repeats the values of the first. */
const missesRepeatedHour = ({ cursor, lookback }: LateRows): boolean =>
  cursor.kind === 'timestamp' && lookback !== undefined && Number(lookback.size) < HOUR;

const repeatedHour = ({ column }: Cursor): string =>
  `"${column}" is a timestamp without time zone: where its clock is set back at the end of summer time, an hour comes twice, and rows of the second are missed with a lookback of less than an hour. Set "incremental.lookback" to "1 hour" or more, unless the values are of UTC or another zone without summer time.`;
