import bytes from 'bytes';
import ms from 'ms';
import { z } from 'zod';
import { codecServerVariables } from '../../src/config/codec-server.ts';
import { databaseVariables } from '../../src/config/database-variables.ts';
import { workerVariables } from '../../src/config/environment.ts';
import { telemetryVariables } from '../../src/config/telemetry.ts';
import { captureChangesInput, type CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import { extractDatabaseInput, type ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { extractTableInput, type ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { sessionSettings } from '../../src/contract/session-settings.ts';
import { cellsMet, measuredLines, readMeasured, totalOf } from '../faults/measured.ts';
import { failurePolicies, type FailureKind, type Retry } from '../../src/contract/failures.ts';
import { benchTables } from './bench-tables.ts';

/** A table in a document that is generated from the code, between two comments with its name. */
export interface GeneratedTable {
  readonly name: string;
  /** Relative to the project root. */
  readonly file: string;
  readonly text: () => string;
}

export const generatedTables: readonly GeneratedTable[] = [
  { name: 'inputs', file: 'docs/table.md', text: inputsTable },
  { name: 'capture inputs', file: 'docs/changes.md', text: captureInputsTable },
  { name: 'database-inputs', file: 'docs/database.md', text: databaseInputsTable },
  { name: 'failures', file: 'docs/failures.md', text: failuresTable },
  {
    name: 'database variables',
    file: 'docs/connections.md',
    text: () => variablesTable(databaseVariables, 'SOURCE_'),
  },
  {
    name: 'worker variables',
    file: 'docs/connections.md',
    text: () =>
      variablesTable(workerVariables.extend(telemetryVariables.shape).extend(codecServerVariables.shape), ''),
  },
  { name: 'faults', file: 'docs/guarantees.md', text: faultsTable },
  { name: 'session settings', file: 'docs/connections.md', text: settingsList },
  ...benchTables,
];

/** Returns the document with the table as the code currently generates it. */
export function withTable(document: string, { name, text }: GeneratedTable): string {
  const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`];
  const [before, rest] = document.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`there is no ${begin} … ${end}`);
  return `${before}${begin}\n\n${text()}\n\n${end}${after}`;
}

/** An example of every input, which must be valid together with a table. */
export const inputExamples: Readonly<Required<ExtractTableRequest>> = {
  table: 'sales.orders',
  source: 'shop_eu',
  columns: ['id', 'total'],
  exclude: ['card_number'],
  where: "status = 'open' AND total > 100",
  target: 'br_open_orders',
  chunkSize: '64MB',
  parallelism: 8,
  consistency: 'none',
  statementTimeout: '30 minutes',
  lockTimeout: '5 seconds',
  idleTimeout: '10 minutes',
  stallTimeout: '1 hour',
  maxSnapshotAge: '6 hours',
  partitions: { from: '2024-01-01', to: '2024-02-01' },
  onlyChanged: true,
  session: { work_mem: '256MB', jit: false },
  tuning: 'guide',
  analyze: true,
  maxSourceConnections: 3,
  maxBytesPerSecond: '20MB',
  quietHours: { from: '22:00', to: '06:00', timeZone: 'Europe/Berlin' },
  maxReplicaLag: '1 minute',
  incremental: { column: 'updated_at', lookback: '1 hour' },
  write: 'merge',
  key: ['id'],
  schemaChanges: 'freeze',
  resetCheckpoint: true,
  detectDeletes: true,
  currentView: true,
  verify: 'checksum',
  json: { parse: ['payload'] },
  arrays: { expand: ['tags'] },
  largeObjects: ['document_oid'],
  largeObjectPartSize: '16MB',
  missingLargeObjects: 'refuse',
  requireAllRows: true,
  chunkBy: 'id',
};

function inputsTable(): string {
  return tableOf(
    extractTableInput.shape,
    extractTableInput.parse({ table: inputExamples.table }),
    inputExamples,
  );
}

/** An example of every input of `captureChanges`. */
export const captureExamples: Readonly<Required<CaptureChangesRequest>> = {
  tables: ['public.*', 'sales.orders'],
  slot: 'shop',
  publication: 'shop',
  source: 'shop_eu',
  initialCopy: false,
  until: 'caught-up',
  mirror: true,
  deletes: 'soft',
  setReplicaIdentity: 'full',
  failover: true,
  maxSlotLag: '10GB',
  onSlotLag: 'drop',
  heartbeat: '1 minute',
  stallTimeout: '10 minutes',
  parallelism: 8,
};

function captureInputsTable(): string {
  const { tables } = captureExamples;
  return tableOf(captureChangesInput.shape, captureChangesInput.parse({ tables }), captureExamples);
}

function tableOf(
  shape: Readonly<Record<string, { readonly description?: string | undefined }>>,
  defaults: Readonly<Record<string, unknown>>,
  examples: Readonly<Record<string, unknown>>,
): string {
  const rows = Object.entries(shape).map(([name, { description = '' }], index) => [
    code(name),
    index === 0 ? 'required' : shown(asWritten(name, defaults[name])),
    description,
    shown(examples[name]),
  ]);
  return markdownTable(['input', 'default', 'what it says', 'example'], rows);
}

/** An example of every input of `extractDatabase`, which must be valid together with `tables`. */
export const databaseInputExamples: Readonly<Required<ExtractDatabaseRequest>> = {
  tables: ['public.*', '!public.tmp_*', { table: 'sales.orders', incremental: { column: 'updated_at' } }],
  source: 'shop_eu',
  defaults: { verify: 'checksum' },
  parallelism: 8,
  maxTablesAtOnce: 2,
  maxSourceConnections: 6,
  consistency: 'table',
  onTableFailure: 'stop',
};

function databaseInputsTable(): string {
  const defaults: Readonly<Record<string, unknown>> = extractDatabaseInput.parse({ tables: ['orders'] });
  const rows = Object.entries(extractDatabaseInput.shape).map(([name, schema]) => [
    code(name),
    name === 'tables' ? 'required' : shown(defaults[name]),
    schema.description ?? '',
    shown(databaseInputExamples[name as keyof ExtractDatabaseRequest]),
  ]);
  return markdownTable(['input', 'default', 'what it says', 'example'], rows);
}

/** Undoes parsing, which turns durations into milliseconds and sizes into bytes. */
function asWritten(name: string, value: unknown): unknown {
  if (typeof value !== 'number') return value;
  if (name.endsWith('Timeout') || name === 'heartbeat') return ms(value, { long: true });
  return name.endsWith('Size') ? bytes.format(value) : value;
}

/** Undoes parsing of durations, which turns them into milliseconds. */
function variablesTable(schema: z.ZodObject, prefix: string): string {
  const defaults: Readonly<Record<string, unknown>> = schema.parse({});
  const rows = Object.entries(schema.shape).map(([name, variable]) => {
    const value = defaults[name];
    const written = name.endsWith('_TIMEOUT') ? ms(Number(value), { long: true }) : value;
    return [
      code(prefix + name),
      written === undefined ? '' : code(typeof written === 'string' ? written : JSON.stringify(written)),
      descriptionOf(variable),
    ];
  });
  return markdownTable(['variable', 'default', 'what it says'], rows);
}

const descriptionOf = (schema: unknown): string =>
  schema instanceof z.ZodType ? (schema.description ?? '') : '';

function settingsList(): string {
  return Object.keys(sessionSettings.shape).map(code).join(', ');
}

/** The event, in a few words; the advice comes from the code. */
const meanings: Readonly<Record<FailureKind, string>> = {
  InvalidInput: 'The input, or the environment of the worker, is not valid.',
  InvalidExpression: '`where` is not a single boolean expression over the table.',
  UnknownSource: 'The worker has no source of that name.',
  UndefinedObject: 'A table or column does not exist. The message suggests a similar name, if there is one.',
  UnsupportedTable: 'It is not a table, or cannot be extracted as requested.',
  InsufficientPrivilege: 'A role lacks a privilege.',
  AuthenticationFailed: 'A server rejects the login.',
  TlsFailed: 'An encrypted connection fails, or a certificate is not accepted.',
  PoolerInTheWay: 'A pooler between worker and server does not support what a run needs.',
  UndefinedDatabase: 'The database does not exist.',
  BookkeepingLost: 'Somebody dropped what the warehouse has on record of runs, such as the schema bronze.',
  TargetConflict:
    'The bronze table belongs to another source table or capture, or was not made by this project.',
  SchemaConflict:
    'The new rows do not fit a view, constraint or index that people attached to the bronze table.',
  SchemaChanged:
    'A source column changed in a way that a run that keeps earlier rows cannot, or may not, follow.',
  CheckpointConflict: 'The settings of an incremental run differ from those of its checkpoint.',
  KeyConflict: 'Rows share a key, or have NULL in it.',
  ReadOnlyServer: 'The warehouse, or the source of a capture, is read-only.',
  UnsupportedServer: 'A server lacks a feature that the run needs.',
  InvalidStatement: 'A server rejected a statement as invalid.',
  InvalidValue: 'A value could not be computed or stored.',
  InvalidEncoding: 'A text is not valid in the encoding of a server, or cannot be converted to it.',
  Unreachable: 'A server cannot be reached.',
  ConnectionLost: 'A connection was lost.',
  TooManyConnections: 'A server has no connection left for the role.',
  PoolExhausted: 'No session of the pool became free in time.',
  LockTimeout:
    'Another session holds a lock. The message names the table or partition, and for a commit the sessions.',
  AlreadyRunning: 'Another run is writing the same bronze table, or Temporal did not say whether it is.',
  ForeignServerFailed:
    'The server of a foreign table, or one that `dblink` asks, cannot be reached or is in trouble.',
  Deadlock: 'A server resolved a deadlock by cancelling our side.',
  SerializationFailure: 'Another transaction was faster, or recovery on a replica cancelled the statement.',
  StatementTimeout: 'A statement ran longer than allowed.',
  StatementCancelled: 'A statement was cancelled on the server.',
  DiskFull: 'A server has no disk space left, or its disk fails.',
  OutOfMemory: 'A server is out of memory, or reached a limit for it.',
  CountMismatch: 'The source sent more or fewer rows than the warehouse received.',
  ChecksumMismatch: 'Source and warehouse computed different checksums for the columns in the message.',
  RowsHidden: 'Row-level security applies to the role, and `requireAllRows` is set.',
  MissingLargeObject: 'Some OIDs name no large object, and `missingLargeObjects` is `refuse`.',
  ReplicaLagging: 'The source is a replica and further behind than `maxReplicaLag` allows.',
  Stalled: 'A copy or stream made no progress for `stallTimeout`.',
  ReplicaIdentityMissing:
    'A table has no replica identity, so that its updates and deletes cannot be captured.',
  PublicationConflict: 'The publication is not as the capture needs it, or was dropped.',
  SlotConflict: 'The replication slot exists and does not belong to this capture.',
  SlotActive: 'Another session reads from the slot. Right after a restart this is usual and passes.',
  SlotLost: 'The slot was dropped or invalidated, with changes that were not read.',
  SlotLagExceeded:
    'The slot held back more than `maxSlotLag`, and was dropped because `onSlotLag` is `drop`.',
  PositionConflict: 'Slot, source and stored position do not match.',
  SnapshotTooOld: 'The snapshot reached `maxSnapshotAge` before the copy was done.',
  SnapshotLost: 'The sessions that held the snapshot of the run are gone.',
  PlanOutdated:
    'The table, its partitions or columns changed after the plan, or another run wrote to bronze.',
  StagingLost: 'The staging table is gone, or lacks chunks.',
  TablesFailed:
    'Tables of a run of many tables failed: all of them, or some with `"onTableFailure": "fail-at-end"`.',
  Unexpected: 'Anything else.',
};

const beginAgain: readonly FailureKind[] = ['SnapshotLost', 'PlanOutdated', 'StagingLost'];

function failuresTable(): string {
  const rows = Object.entries(failurePolicies).map(([name, { retry, advice }]) => {
    const kind = name as FailureKind;
    return [
      code(kind),
      meanings[kind],
      beginAgain.includes(kind) ? 'the run restarts' : retried(retry),
      advice,
    ];
  });
  return markdownTable(['kind', 'what happened', 'retried', 'what to do'], rows);
}

const retried = (retry: Retry): string => (retry === 'never' ? 'no' : `up to ${retry} attempts`);

/** Renders the results of the last `npm run test:faults`. */
export function faultsTable(measured = readMeasured()): string {
  const exact = totalOf(measured);
  const wrong = measured.wrong.length;
  const { head, rows } = measuredLines(measured);
  const { all, met, earlier } = cellsMet(measured);
  const before =
    earlier === 0
      ? ''
      : ` ${earlier} more, in parentheses, were hit with the code before its last changes only.`;
  const summary = `${exact + wrong} runs were hit: ${exact} were exact and left nothing, ${wrong} were not. There are ${all} combinations of a fault, a moment and a way to write, of which ${met} were hit.${before}`;
  return `${summary}\n\n${markdownTable(head, rows)}`;
}

const code = (text: string): string => `\`${text}\``;

const shown = (value: unknown): string => (value === undefined ? '' : code(JSON.stringify(value)));

/** Renders a table as Prettier does, so that formatting changes nothing. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll(/[|<]/g, '\\$&')));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...others] = cells;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join('\n');
}
