/**
 * Every way in which a run can fail, what is done about it, and what a person can do.
 *
 * This is the only place that decides what is retried. Domain code throws a
 * {@link DatakitError} of a kind, or lets a PostgreSQL error pass, whose SQLSTATE finds its kind here.
 */

/** `never`: retrying cannot mend it. A number: it is final after so many attempts of one activity. */
export type Retry = 'never' | number;

interface FailurePolicy {
  readonly retry: Retry;
  /** In its place for work of a run that has written already. */
  readonly retryUnderWay?: Retry;
  /** What to do about it, after the sentence that says what happened. */
  readonly advice: string;
}

/** With pauses that double up to half a minute, about twenty minutes of trying. */
const UNTIL_IT_IS_BACK = 45;

export const failurePolicies = {
  InvalidInput: { retry: 'never', advice: 'Correct the input and start the workflow again.' },
  InvalidExpression: {
    retry: 'never',
    advice: 'Write "where" as one SQL expression of type boolean over the columns of the table.',
  },
  UnknownSource: {
    retry: 'never',
    advice: 'Set the variable in the environment of the worker, or name a source that it has.',
  },
  UndefinedObject: { retry: 'never', advice: 'Names are exact, upper and lower case included.' },
  UnsupportedTable: {
    retry: 'never',
    advice: 'Name a table, a view or a materialized view, and in "columns" those that can be extracted.',
  },
  InsufficientPrivilege: {
    retry: 'never',
    advice: 'Grant the privilege to the role that the worker connects as.',
  },
  AuthenticationFailed: {
    retry: 'never',
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
      'Connect to the server itself, or to a pooler in session or transaction mode. Poolers take no options of a session: set them on the role (ALTER ROLE … SET) and leave out …_PG_OPTIONS.',
  },
  UndefinedDatabase: { retry: 'never', advice: 'Check the database in the connection URL of the worker.' },
  TargetConflict: { retry: 'never', advice: 'Choose another "target", or drop the bronze table first.' },
  SchemaConflict: {
    retry: 'never',
    advice: 'Drop what depends on the column (views, most often), or choose another "target".',
  },
  SchemaChanged: {
    retry: 'never',
    advice:
      'Leave the column out with "exclude", change the bronze column by hand, extract everything anew (with "resetCheckpoint": true, or without "replace-partitions"), or choose another "target".',
  },
  CheckpointConflict: {
    retry: 'never',
    advice:
      'Put the input back, extract everything anew with "resetCheckpoint": true, or choose another "target".',
  },
  KeyConflict: {
    retry: 'never',
    advice: 'Name in "key" columns that have a value in every row and that no two rows share.',
  },
  ReadOnlyServer: {
    retry: 'never',
    // what took writes a moment ago has failed over: its name still leads to the former primary
    retryUnderWay: UNTIL_IT_IS_BACK,
    advice: 'Point WAREHOUSE_DATABASE_URL at the primary, with default_transaction_read_only off.',
  },
  UnsupportedServer: {
    retry: 'never',
    advice: 'Use a supported version of PostgreSQL, or other types or settings.',
  },
  InvalidStatement: {
    retry: 'never',
    advice:
      'If your input does not explain it, this is a defect of datakit-postgres: please report it with this text.',
  },
  InvalidValue: {
    retry: 'never',
    advice: 'If "where" computes with values, guard it. The value is not shown here on purpose.',
  },
  Unreachable: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'Check that the server runs and that host and port in the connection URL are right.',
  },
  ConnectionLost: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'The server went away or ended the session; look into its log if this goes on.',
  },
  TooManyConnections: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'Raise max_connections or the limit of the role, or lower "parallelism".',
  },
  PoolExhausted: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'Lower "parallelism", or raise DATAKIT_MAX_CONCURRENT_ACTIVITIES of the worker.',
  },
  LockTimeout: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'End the session that holds the lock, or run when it is not there.',
  },
  AlreadyRunning: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'Wait until it has ended, or cancel it.',
  },
  Deadlock: { retry: 10, advice: 'Look for what else writes to these tables.' },
  SerializationFailure: {
    retry: 5,
    advice:
      'On a read replica this is a conflict with recovery: set hot_standby_feedback, raise max_standby_streaming_delay, or choose a smaller "chunkSize".',
  },
  StatementTimeout: {
    retry: 3,
    advice: 'Raise "statementTimeout", choose a smaller "chunkSize", or index what "where" asks for.',
  },
  StatementCancelled: { retry: 5, advice: 'Somebody cancelled the statement on the server.' },
  DiskFull: { retry: 5, advice: 'Free space on the server, then start the workflow again.' },
  OutOfMemory: {
    retry: 3,
    advice:
      'Give the server more memory, lower "parallelism", or raise the limit that is named (for temp_file_limit, "work_mem" in "session" helps too).',
  },
  CountMismatch: { retry: 3, advice: 'Please report this with the text of the failure.' },
  ChecksumMismatch: {
    retry: 'never',
    advice:
      'If "where" or the view answers differently each time it is asked (random(), now()), use "verify": "rows"; otherwise please report this.',
  },
  RowsHidden: {
    retry: 'never',
    advice: 'Give the role BYPASSRLS or a policy that shows all rows, or leave out "requireAllRows".',
  },
  MissingLargeObject: {
    retry: 'never',
    advice: 'Use "missingLargeObjects": "null" to have NULL for them, and their number in the result.',
  },
  ReplicaLagging: {
    retry: UNTIL_IT_IS_BACK,
    advice:
      'The run goes on when the replica has caught up; raise "maxReplicaLag", or look for what holds it back.',
  },
  Stalled: {
    retry: 5,
    advice: 'Look for a network or a server that hangs between the worker and PostgreSQL.',
  },
  ReplicaIdentityMissing: {
    retry: 'never',
    advice:
      'Give the tables a primary key, set REPLICA IDENTITY on them, let "setReplicaIdentity": "full" do so, or leave them out of "tables".',
  },
  PublicationConflict: {
    retry: 'never',
    advice: 'Change the publication on the source, or name another "publication", which is then made.',
  },
  SlotConflict: {
    retry: 'never',
    advice: 'Name another "slot", or drop this one if nothing else needs it.',
  },
  SlotActive: {
    retry: UNTIL_IT_IS_BACK,
    advice: 'End what reads from the slot: another capture, or a session that hangs (pg_terminate_backend).',
  },
  SlotLost: {
    retry: 'never',
    advice:
      'Changes since then are lost to the capture. Run dropCapture, then start it anew: it copies the tables again.',
  },
  SlotLagExceeded: {
    retry: 'never',
    advice:
      'Find out what keeps the stream (a warehouse that is slow, a worker that is away), raise "maxSlotLag", then start the capture anew: it copies the tables again.',
  },
  PositionConflict: {
    retry: 'never',
    advice:
      'Going on would leave changes out. Run dropCapture, then start the capture anew: it copies the tables again.',
  },
  SnapshotTooOld: {
    retry: 'never',
    advice:
      'Raise "maxSnapshotAge" or "parallelism", extract the table in parts ("partitions", "incremental"), or hold no snapshot with "consistency": "none".',
  },
  SnapshotLost: { retry: 'never', advice: 'The run begins again on a new snapshot by itself.' },
  PlanOutdated: { retry: 'never', advice: 'The run begins again on a new plan by itself.' },
  StagingLost: { retry: 'never', advice: 'The run begins again by itself.' },
  Unexpected: {
    retry: 3,
    advice: 'If it goes on, this is a defect of datakit-postgres: please report it with this text.',
  },
} as const satisfies Record<string, FailurePolicy>;

export type FailureKind = keyof typeof failurePolicies;

/** SQLSTATEs, and classes of them (the first two characters), by kind. A state wins over its class. */
const kindBySqlState: Readonly<Record<string, FailureKind>> = {
  '08': 'ConnectionLost',
  '22': 'InvalidValue',
  '22023': 'InvalidStatement', // invalid_parameter_value; "invalid snapshot identifier" is told apart by its statement
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
  '53400': 'TooManyConnections', // configuration_limit_exceeded: what others have taken of it; temp_file_limit is told apart
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
  P0: 'InvalidValue', // raised by a function in SQL that `where`, a view or a policy calls
  '38': 'InvalidValue', // the same, in another language
  '39': 'InvalidValue',
  '58': 'DiskFull', // system_error, io_error: the disk most often
};

/** The kind of a SQLSTATE, and `Unexpected` for what no rule names. */
export function kindOfSqlState(sqlState: string): FailureKind {
  return kindBySqlState[sqlState] ?? kindBySqlState[sqlState.slice(0, 2)] ?? 'Unexpected';
}

/** A failure that this project words itself. Its message names no secret and no value of a row. */
export class DatakitError extends Error {
  override name = 'DatakitError';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * Whether a failure is final, given the number of the attempt that ended with it (from 1).
 *
 * @param underWay whether the run has written to the warehouse before
 */
export function isFinal(kind: FailureKind, attempt: number, underWay = false): boolean {
  const { retry, retryUnderWay = retry }: FailurePolicy = failurePolicies[kind];
  const allowed = underWay ? retryUnderWay : retry;
  return allowed === 'never' || attempt >= allowed;
}

const ofServers: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'UnknownSource',
  'AuthenticationFailed',
  'UndefinedDatabase',
  'ReadOnlyServer',
  'Unreachable',
  'ConnectionLost',
  'TooManyConnections',
  'PoolExhausted',
  'DiskFull',
  'OutOfMemory',
  'SnapshotLost',
]);

/** Whether it is the matter of a server or of the worker, and so of every table alike. */
export const isOfServer = (kind: FailureKind): boolean => ofServers.has(kind);

/** What happened, then the way out. */
export function withAdvice(kind: FailureKind, message: string): string {
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return `${sentence} ${failurePolicies[kind].advice}`;
}
