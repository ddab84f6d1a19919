/**
 * Every way in which a run can fail, how it is handled, and what a person can do.
 *
 * This is the only place that decides what is retried. Domain code throws a {@link DatakitError} of some kind,
 * or lets a PostgreSQL error pass, whose SQLSTATE is mapped to a kind here.
 */

/** `never`: retrying cannot help. A number: the failure is final after that many attempts of one activity. */
export type Retry = 'never' | number;

interface FailurePolicy {
  readonly retry: Retry;
  /** Used instead of `retry` when the run has already written to the warehouse. */
  readonly retryUnderWay?: Retry;
  /** See {@link affectsEveryTable}. */
  readonly everyTable?: true;
  /** See {@link captureWaits}. */
  readonly captureWaits?: true;
  /** See {@link restartsRun}. */
  readonly restartsRun?: true;
  /** What to do about it; follows the sentence that says what happened. */
  readonly advice: string;
}

/** About twenty minutes of retries, with pauses that double up to half a minute. */
const UNTIL_IT_IS_BACK = 45;

export const failurePolicies = {
  InvalidInput: { retry: 'never', advice: 'Correct the input and start the workflow again.' },
  InvalidExpression: {
    retry: 'never',
    advice: 'Write "where" as one SQL expression of type boolean over the columns of the table.',
  },
  UnknownSource: {
    retry: 'never',
    everyTable: true,
    advice: 'Set the variable in the environment of the worker, or name a source that it has.',
  },
  UndefinedObject: { retry: 'never', advice: 'Names must match exactly, including upper and lower case.' },
  UnsupportedTable: {
    retry: 'never',
    advice:
      'Name a table, view, materialized view or foreign table, and in "columns" only columns that can be extracted.',
  },
  InsufficientPrivilege: {
    retry: 'never',
    advice: 'Grant the role that the worker connects as what it lacks, or leave out what needs it.',
  },
  AuthenticationFailed: {
    retry: 'never',
    everyTable: true,
    advice: 'Check user and password in the connection URL of the worker, and pg_hba.conf of the server.',
  },
  TlsFailed: {
    retry: 'never',
    advice:
      'Check sslmode, host and the certificate files in the environment of the worker against what the server has.',
  },
  PoolerInTheWay: {
    retry: 'never',
    advice:
      'Connect to the server itself, or to a pooler in session or transaction mode. Poolers do not pass on session options: set them on the role (ALTER ROLE ... SET) and remove *_PG_OPTIONS.',
  },
  UndefinedDatabase: {
    retry: 'never',
    everyTable: true,
    advice: 'Check the database in the connection URL of the worker.',
  },
  BookkeepingLost: {
    // the next attempt makes it anew
    retry: 5,
    everyTable: true,
    captureWaits: true,
    advice:
      'Tables of this project in the schema bronze are made anew only where all are gone: restore them from a backup, or drop the schemas bronze, bronze_staging and bronze_data to begin anew.',
  },
  TargetConflict: { retry: 'never', advice: 'Choose another "target", or drop the bronze table first.' },
  SchemaConflict: {
    retry: 'never',
    advice:
      'Change or drop what is named, usually a view, constraint or index on the bronze table, or choose another "target".',
  },
  SchemaChanged: {
    retry: 'never',
    advice:
      'Leave the column out with "exclude", change the bronze column by hand, extract everything again (with "resetCheckpoint": true, or without "replace-partitions"), or choose another "target".',
  },
  CheckpointConflict: {
    retry: 'never',
    advice:
      'Restore the earlier input, extract everything again with "resetCheckpoint": true, or choose another "target".',
  },
  KeyConflict: {
    retry: 'never',
    advice: 'In "key", name columns that are never NULL and together unique.',
  },
  ReadOnlyServer: {
    retry: 'never',
    // it took writes a moment ago, so it has failed over: the name still leads to the former primary
    retryUnderWay: UNTIL_IT_IS_BACK,
    everyTable: true,
    captureWaits: true,
    advice: 'Point WAREHOUSE_DATABASE_URL at the primary, with default_transaction_read_only off.',
  },
  UnsupportedServer: {
    retry: 'never',
    advice: 'Use a supported version of PostgreSQL, or other types or settings.',
  },
  InvalidStatement: {
    retry: 'never',
    advice:
      'If your input does not explain it, this is a bug in datakit-postgres: please report it with this text.',
  },
  InvalidValue: {
    retry: 'never',
    advice:
      'If "where" computes with values, guard it against those that do not fit. The value is deliberately not shown.',
  },
  InvalidEncoding: {
    retry: 'never',
    advice:
      'A warehouse should have the encoding UTF8, which has all characters. In the source, correct the values and names that UTF-8 lacks (a database of SQL_ASCII takes any bytes), or leave their column out with "exclude"; then drop a capture that found them in the log, and begin it anew. In the input, use characters that the source has.',
  },
  Unreachable: {
    retry: UNTIL_IT_IS_BACK,
    everyTable: true,
    captureWaits: true,
    advice: 'Check that the server runs and that host and port in the connection URL are right.',
  },
  ConnectionLost: {
    retry: UNTIL_IT_IS_BACK,
    everyTable: true,
    captureWaits: true,
    advice: 'The server went away or ended the session; if this continues, look into its log.',
  },
  TooManyConnections: {
    retry: UNTIL_IT_IS_BACK,
    everyTable: true,
    captureWaits: true,
    advice: 'Raise max_connections or the limit of the role, or lower "parallelism".',
  },
  PoolExhausted: {
    retry: UNTIL_IT_IS_BACK,
    everyTable: true,
    captureWaits: true,
    advice:
      'Lower "parallelism", or let the worker have more sessions (*_PG_POOL_SIZE, *_PG_POOL_MAX_OVERFLOW).',
  },
  ForeignServerFailed: {
    retry: UNTIL_IT_IS_BACK,
    advice:
      'Look into the log of that server, and whether the source reaches it. The log of the source has its words.',
  },
  LockTimeout: {
    retry: UNTIL_IT_IS_BACK,
    captureWaits: true,
    advice: 'End the session that holds the lock, or run at another time.',
  },
  AlreadyRunning: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'Wait until it has ended, or cancel it.',
  },
  Deadlock: { retry: 10, captureWaits: true, advice: 'Find out what else writes to these tables.' },
  SerializationFailure: {
    retry: 5,
    captureWaits: true,
    advice:
      'On a read replica this is a recovery conflict: set hot_standby_feedback, raise max_standby_streaming_delay, or choose a smaller "chunkSize".',
  },
  StatementTimeout: {
    retry: 3,
    captureWaits: true,
    advice: 'Raise "statementTimeout", choose a smaller "chunkSize", or add an index for "where".',
  },
  StatementCancelled: {
    retry: 5,
    captureWaits: true,
    advice: 'Find out who or what cancels statements on the server.',
  },
  DiskFull: {
    retry: 5,
    everyTable: true,
    captureWaits: true,
    advice: 'Free space on the server, then start the workflow again.',
  },
  OutOfMemory: {
    retry: 3,
    everyTable: true,
    captureWaits: true,
    advice:
      'Give the server more memory, lower "parallelism", or raise the limit in the message (for temp_file_limit, more "work_mem" in "session" helps too).',
  },
  CountMismatch: { retry: 3, advice: 'Please report this with the text of the failure.' },
  ChecksumMismatch: {
    retry: 'never',
    advice:
      'If "where" or the view gives another answer each time (random(), now()), use "verify": "rows"; otherwise please report this.',
  },
  RowsHidden: {
    retry: 'never',
    advice: 'Give the role BYPASSRLS or a policy that shows all rows, or remove "requireAllRows".',
  },
  MissingLargeObject: {
    retry: 'never',
    advice: 'Use "missingLargeObjects": "null" to get NULL for them, and their number in the result.',
  },
  ReplicaLagging: {
    retry: UNTIL_IT_IS_BACK,
    advice:
      'The run continues when the replica has caught up; raise "maxReplicaLag", or find out what holds it back.',
  },
  Stalled: {
    retry: 5,
    captureWaits: true,
    advice: 'Find out which server, or which network between it and the worker, hangs.',
  },
  ReplicaIdentityMissing: {
    retry: 'never',
    advice:
      'Give the tables a primary key or a REPLICA IDENTITY, let "setReplicaIdentity": "full" set it, or remove them from "tables".',
  },
  PublicationConflict: {
    retry: 'never',
    advice:
      'Change the publication on the source, or name a new one in "publication": the capture creates it.',
  },
  SlotConflict: {
    retry: 'never',
    advice: 'Name another "slot", or drop this one if nothing else needs it.',
  },
  SlotActive: {
    retry: UNTIL_IT_IS_BACK,
    captureWaits: true,
    advice: 'End what reads from the slot: another capture, or a hanging session (pg_terminate_backend).',
  },
  SlotLost: {
    retry: 'never',
    everyTable: true,
    advice:
      'The capture has lost the changes since then. Run dropCapture, then start the capture again: it copies all tables again.',
  },
  SlotLagExceeded: {
    retry: 'never',
    advice:
      'Find out what delays the stream (a slow warehouse, a missing worker), raise "maxSlotLag", then start the capture again: it copies all tables again.',
  },
  PositionConflict: {
    retry: 'never',
    advice:
      'Continuing would skip changes. Run dropCapture, then start the capture again: it copies all tables again.',
  },
  SnapshotTooOld: {
    retry: 'never',
    advice:
      'Raise "maxSnapshotAge" or "parallelism", extract the table in parts ("partitions", "incremental"), or hold no snapshot with "consistency": "none".',
  },
  SnapshotLost: {
    retry: 'never',
    everyTable: true,
    restartsRun: true,
    advice: 'The run restarts by itself on a new snapshot.',
  },
  PlanOutdated: { retry: 'never', restartsRun: true, advice: 'The run restarts by itself with a new plan.' },
  StagingLost: { retry: 'never', restartsRun: true, advice: 'The run restarts by itself.' },
  TablesFailed: {
    retry: 'never',
    advice: 'Fix what the message of each table says, then run again, or extract these tables alone.',
  },
  Unexpected: {
    retry: 3,
    advice: 'If it continues, this is a bug in datakit-postgres: please report it with this text.',
  },
} as const satisfies Record<string, FailurePolicy>;

export type FailureKind = keyof typeof failurePolicies;

/** Kinds by SQLSTATE or by its class (the first two characters). A state takes precedence over its class. */
const kindBySqlState: Readonly<Record<string, FailureKind>> = {
  '08': 'ConnectionLost',
  '22': 'InvalidValue',
  '22021': 'InvalidEncoding', // character_not_in_repertoire: bytes that are no characters of the encoding
  '22P05': 'InvalidEncoding', // untranslatable_character: one that the other encoding lacks
  '22023': 'InvalidStatement', // invalid_parameter_value; "invalid snapshot identifier" is known by its statement
  '23': 'InvalidValue',
  '25006': 'ReadOnlyServer',
  '28': 'AuthenticationFailed',
  '3D': 'UndefinedDatabase',
  '40': 'SerializationFailure',
  '40P01': 'Deadlock',
  '42': 'InvalidStatement',
  '42501': 'InsufficientPrivilege',
  '42703': 'UndefinedObject',
  '42P01': 'UndefinedObject',
  '3F000': 'UndefinedObject',
  '0A': 'UnsupportedServer',
  '53': 'OutOfMemory',
  '54': 'UnsupportedTable', // program_limit_exceeded: more columns, or a wider row, than a table can have
  '54001': 'InvalidStatement', // statement_too_complex
  '53100': 'DiskFull',
  '53300': 'TooManyConnections',
  '53400': 'TooManyConnections', // configuration_limit_exceeded: used up by others; temp_file_limit is separate
  '55006': 'SlotActive', // object_in_use: "replication slot … is active for PID …"
  '55P03': 'LockTimeout',
  '57014': 'StatementCancelled',
  '57P01': 'ConnectionLost', // admin_shutdown, pg_terminate_backend
  '57P02': 'ConnectionLost', // crash_shutdown
  '57P03': 'ConnectionLost', // cannot_connect_now
  '57P04': 'UndefinedDatabase', // database_dropped
  '57P05': 'ConnectionLost', // idle_session_timeout
  '25P03': 'ConnectionLost', // idle_in_transaction_session_timeout
  '25P04': 'StatementTimeout', // transaction_timeout
  P0: 'InvalidValue', // PL/pgSQL: raised by a function that `where`, a view or a policy calls
  '38': 'InvalidValue', // likewise, by a function in another language
  '39': 'InvalidValue',
  '58': 'DiskFull', // system_error, io_error: most often the disk
};

/** Returns the kind of a SQLSTATE, or `Unexpected` if no rule covers it. */
export function kindOfSqlState(sqlState: string): FailureKind {
  return kindBySqlState[sqlState] ?? kindBySqlState[sqlState.slice(0, 2)] ?? 'Unexpected';
}

/** A failure that this project words itself. Its message contains no secret and no row value. */
export class DatakitError extends Error {
  override name = 'DatakitError';
  readonly kind: FailureKind;
  /** What to do about it, where the advice for its kind does not apply. */
  readonly advice: string | undefined;

  constructor(kind: FailureKind, message: string, { advice, ...options }: DatakitErrorOptions = {}) {
    super(message, options);
    this.kind = kind;
    this.advice = advice;
  }
}

interface DatakitErrorOptions extends ErrorOptions {
  readonly advice?: string;
}

/**
 * Returns whether a failure is final, given the number of the attempt that ended with it (from 1).
 *
 * @param underWay whether the run has already written to the warehouse
 */
export function isFinal(kind: FailureKind, attempt: number, underWay = false): boolean {
  const { retry, retryUnderWay = retry } = policyOf(kind);
  const allowed = underWay ? retryUnderWay : retry;
  return allowed === 'never' || attempt >= allowed;
}

function policyOf(kind: FailureKind): FailurePolicy {
  return failurePolicies[kind];
}

/** True if the cause lies with a server or the worker, so that every other table would fail in the same way. */
export const affectsEveryTable = (kind: FailureKind): boolean => policyOf(kind).everyTable === true;

/** True if a run recovers by starting over with a new plan or snapshot. */
export const restartsRun = (kind: FailureKind): boolean => policyOf(kind).restartsRun === true;

/** True if a capture waits for it to pass, however long that takes. */
export const captureWaits = (kind: FailureKind): boolean => policyOf(kind).captureWaits === true;

/** True if the text names a kind, as `type` of a Temporal failure does for failures of this project. */
export function isFailureKind(text: string): text is FailureKind {
  return Object.hasOwn(failurePolicies, text);
}

/**
 * Returns what happened, followed by an advice and the kind, which the CLI shows nowhere else.
 *
 * @param advice by default that for the kind
 */
export function withAdvice(
  kind: FailureKind,
  message: string,
  advice: string = failurePolicies[kind].advice,
): string {
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return `${sentence} ${advice} (${kind})`;
}
