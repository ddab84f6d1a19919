import bytes from 'bytes';
import ms from 'ms';
import { z } from 'zod';
import { codecServerVariables } from '../../src/config/codec-server.ts';
import { databaseVariables } from '../../src/config/database-variables.ts';
import { workerVariables } from '../../src/config/environment.ts';
import { captureChangesInput, type CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import { extractDatabaseInput, type ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { extractTableInput, type ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { sessionSettings } from '../../src/contract/session-settings.ts';
import { cellsMet, measuredLines, readMeasured, totalOf } from '../faults/measured.ts';
import { failurePolicies, type FailureKind, type Retry } from '../../src/contract/failures.ts';
import { benchTables } from './bench-tables.ts';

/** A table of a document that is made from the code, between two comments that carry its name. */
export interface GeneratedTable {
  readonly name: string;
  /** From the root of the project. */
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
    text: () => variablesTable(workerVariables.extend(codecServerVariables.shape), ''),
  },
  { name: 'faults', file: 'docs/guarantees.md', text: faultsTable },
  { name: 'session settings', file: 'docs/connections.md', text: settingsList },
  ...benchTables,
];

/** The document with the table as the code has it now. */
export function withTable(document: string, { name, text }: GeneratedTable): string {
  const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`];
  const [before, rest] = document.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`there is no ${begin} … ${end}`);
  return `${before}${begin}\n\n${text()}\n\n${end}${after}`;
}

/** One example for every input, each of which the schema takes beside a table. */
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

/** The same for `captureChanges`. */
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

/** One example for every input of `extractDatabase`, each of which the schema takes beside `tables`. */
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

/** Durations are milliseconds, and sizes bytes, once they are read. */
function asWritten(name: string, value: unknown): unknown {
  if (typeof value !== 'number') return value;
  if (name.endsWith('Timeout') || name === 'heartbeat') return ms(value, { long: true });
  return name.endsWith('Size') ? bytes.format(value) : value;
}

/** Durations are milliseconds once they are read. */
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

/** What has happened, in a few words; the advice is the code's own. */
const meanings: Readonly<Record<FailureKind, string>> = {
  InvalidInput: 'The input, or the environment of the worker, is not as it must be.',
  InvalidExpression: '`where` is not one boolean expression over the table.',
  UnknownSource: 'The worker has no source of that name.',
  UndefinedObject: 'A table or a column is not there. The message names one that is alike.',
  UnsupportedTable: 'It is no table, or one that cannot be extracted as asked.',
  InsufficientPrivilege: 'A role may not do what must be done.',
  AuthenticationFailed: 'A server does not let the worker in.',
  TlsFailed: 'No encrypted connection comes about, or a certificate is not what it must be.',
  PoolerInTheWay: 'A pooler between the worker and the server does not take what a run needs.',
  UndefinedDatabase: 'A server has no database of that name.',
  TargetConflict: 'The bronze table belongs to another source table, or to somebody else.',
  SchemaConflict: 'The new rows do not fit what people attached to the bronze table.',
  SchemaChanged:
    'A column of the source changed in a way that a run that keeps rows of earlier ones cannot, or may not, follow.',
  CheckpointConflict:
    'An incremental run was asked for with other settings than its checkpoint was made with.',
  KeyConflict: 'Rows share a key, or have none.',
  ReadOnlyServer: 'The warehouse takes no writes.',
  UnsupportedServer: 'A server lacks what the run needs.',
  InvalidStatement: 'A server did not understand a statement.',
  InvalidValue: 'A value could not be computed or stored.',
  Unreachable: 'No connection to a server comes about.',
  ConnectionLost: 'A connection ended in the middle.',
  TooManyConnections: 'A server has no connection left for the role.',
  PoolExhausted: 'No session of the worker came free in time.',
  LockTimeout:
    'Somebody holds a lock that is needed. The message names the table or partition, and at a commit the sessions.',
  AlreadyRunning: 'Another run is writing the same bronze table.',
  Deadlock: 'A server ended a deadlock by giving up our side.',
  SerializationFailure: 'Somebody else was faster, or recovery on a replica was in the way.',
  StatementTimeout: 'A statement ran longer than it may.',
  StatementCancelled: 'A statement was cancelled on the server.',
  DiskFull: 'A server has no room left, or its disk fails.',
  OutOfMemory: 'A server has not the memory.',
  CountMismatch: 'The source sent more or fewer rows than the warehouse took.',
  ChecksumMismatch: 'What arrived is not what the source read, in the columns that the message names.',
  RowsHidden: 'Policies decide which rows the role is shown, and all rows are required.',
  MissingLargeObject: 'OIDs name no large object, and the input wants that refused.',
  ReplicaLagging: 'The replica that is the source is further behind than the input allows.',
  Stalled: 'Nothing passed through a copy for too long.',
  ReplicaIdentityMissing:
    'Nothing identifies the rows of a table, so that its updates and deletes cannot be captured.',
  PublicationConflict: 'A publication is there already, and is not as the capture needs it.',
  SlotConflict: 'A replication slot of that name is there already, and is not of this capture.',
  SlotActive: 'Another session reads from the slot. Right after a restart this is usual, and passes.',
  SlotLost: 'The slot is gone, or was invalidated, with changes that were not read.',
  SlotLagExceeded: 'The slot held back more than `maxSlotLag`, and was dropped as `onSlotLag` says.',
  PositionConflict: 'Slot, source and stored position do not fit each other.',
  SnapshotTooOld: 'The run held its snapshot for as long as `maxSnapshotAge` allows, and was not done.',
  SnapshotLost: 'The session that held the snapshot of the run is gone.',
  PlanOutdated: 'The table was rewritten, or its partitions changed, after it was planned.',
  StagingLost: 'The staging table of the run is gone, or lacks chunks.',
  Unexpected: 'None of the others.',
};

const beginAgain: readonly FailureKind[] = ['SnapshotLost', 'PlanOutdated', 'StagingLost'];

function failuresTable(): string {
  const rows = Object.entries(failurePolicies).map(([name, { retry, advice }]) => {
    const kind = name as FailureKind;
    return [
      code(kind),
      meanings[kind],
      beginAgain.includes(kind) ? 'the run begins again' : retried(retry),
      advice,
    ];
  });
  return markdownTable(['kind', 'what has happened', 'tried again', 'what to do'], rows);
}

const retried = (retry: Retry): string => (retry === 'never' ? 'no' : `up to ${retry} attempts`);

/** What `npm run test:faults` found when it ran last. */
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

/** As Prettier writes it, so that formatting changes nothing. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll(/[|<]/g, '\\$&')));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...others] = cells;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join('\n');
}
