import { setTimeout as sleep } from 'node:timers/promises';
import { endSessionsOfRun } from '../bronze/bookkeeping/attempts.ts';
import { advance, lockPosition, readCapture, type Capture } from '../bronze/cdc/positions.ts';
import { readTables, type CaptureTable } from '../bronze/cdc/tables.ts';
import { referenceOf, type StreamOutcome, type StreamRequest } from '../contract/capture-activities.ts';
import type { StreamProgress } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { formatBytes, formatDuration } from '../contract/quantities.ts';
import type { Database } from '../postgres/database.ts';
import { quoteName } from '../postgres/identifiers.ts';
import { parseLsn } from '../postgres/replication/lsn.ts';
import { ReplicationSession } from '../postgres/replication/replication-session.ts';
import { findPublication } from '../postgres/replication/publications.ts';
import { endStreamOf } from '../postgres/replication/slots.ts';
import { serverFailure, sqlStateOf } from '../postgres/server-failure.ts';
import { ChangeFeed } from './change-feed.ts';
import type { Missed } from './follow-publication.ts';
import { readLiveTable } from './live-table.ts';
import { requireSlot } from './require-slot.ts';
import type { Segment } from './segment.ts';
import { readSourceUri } from './source-facts.ts';
import { SourcePulse } from './source-pulse.ts';
import { Speed } from './speed.ts';
import { tablesById, writeSegment, type SegmentContext } from './write-segment.ts';

/** How often a position without changes is stored, so that an idle database holds back no log. */
const IDLE_INTERVAL = 2_000;
/** How often the source hears from us, whatever the warehouse does: wal_sender_timeout is a minute, or shorter. */
const TICK = 1_000;
/** Attempts to start before the session of an earlier attempt, which has the slot, is ended. */
const PATIENCE = 5;
/** Pause between them. The session that created a slot is gone a moment after the first copy. */
const BETWEEN_TRIES = 200;

export interface StreamContext {
  readonly warehouse: Database;
  readonly source: Database;
  readonly signal: AbortSignal;
  /** Called about once a second, and for every warehouse transaction. */
  readonly onProgress: (progress: StreamProgress) => void;
}

/**
 * Reads from a slot and writes to the warehouse: whole transactions together with the position after them,
 * which is acknowledged to the source only once they are committed.
 *
 * @throws {DatakitError} SlotActive, SlotLost, Stalled, SerializationFailure if another stream is faster
 */
export async function streamChanges(request: StreamRequest, context: StreamContext): Promise<StreamOutcome> {
  await context.warehouse.write({ signal: context.signal }, async (session) =>
    endSessionsOfRun(session, request.runId),
  );
  const stream = new Stream(request, context);
  for (;;) {
    await using replication = await ReplicationSession.open(context.source, request.runId, context.signal);
    const outcome = await stream.run(replication);
    if (outcome !== 'tables changed') return outcome;
  }
}

class Stream {
  readonly #request: StreamRequest;
  readonly #context: StreamContext;
  readonly #deadline: number;
  /** Aborts when the stream makes no progress, whatever it waits for. */
  readonly #stalled = new AbortController();
  readonly #signal: AbortSignal;
  readonly #warnings: string[] = [];
  readonly #copyWanted: TableName[] = [];
  /** Names of tables that were waiting for another copy when the attempt began. */
  #waiting: ReadonlySet<string> | undefined;
  #position = '0/0';
  /**
   * Everything before it may be acknowledged: a commit of this stream came after it. The position that an earlier one left
   * can be that of a commit which still waited for a standby when it was given up, and which only this server has.
   */
  #safe = '0/0';
  #storedAt = performance.now();
  /** Since when it waits for the source to send; undefined while the warehouse writes, however long that takes. */
  #waitsSince: number | undefined;
  #committedAt: string | undefined;
  #transactions = 0;
  #changes = 0;
  #speed = new Speed();

  constructor(request: StreamRequest, context: StreamContext) {
    this.#request = request;
    this.#context = context;
    this.#deadline = performance.now() + request.duration;
    this.#signal = AbortSignal.any([context.signal, this.#stalled.signal]);
  }

  async run(replication: ReplicationSession): Promise<StreamOutcome | 'tables changed'> {
    const { source, warehouse } = this.#context;
    const signal = this.#signal;
    const { captureId, runId, input } = this.#request;
    const { capture, tables, encoding } = await warehouse.write({ run: runId, signal }, async (session) => ({
      capture: await readCapture(session, referenceOf(captureId, input)),
      tables: await readTables(session, captureId),
      encoding: session.encoding,
    }));
    this.#waiting ??= new Set(tables.filter(waitsForCopy).map(formatTableName));
    const onMissed = ({ warnings, copyWanted }: Missed) => {
      this.#warnings.push(...warnings);
      this.#copyWanted.push(...copyWanted);
    };
    const sentBefore = await requireSlot(replication, capture, {
      source,
      warehouse,
      signal,
      runId,
      onMissed,
    });
    this.#position = sentBefore.position;
    this.#safe = sentBefore.confirmed;
    this.#transactions = capture.transactions;
    this.#changes = capture.changes;
    const encodings = { source: replication.encoding, warehouse: encoding };
    const feed = new ChangeFeed(startStatement(capture), { ...capture, encodings }, tables, sentBefore);
    const segments: SegmentContext = {
      capture,
      encoding: encodings.source,
      sourceUri: await readSourceUri(source, { run: runId, signal }),
      deletes: input.deletes,
      tables: tablesById(tables),
      types: feed.types,
      readLiveTable: async (oid, known) =>
        source.read({ run: runId, signal }, async (session) => readLiveTable(session, oid, known)),
      readPublished: async (oids) =>
        source.read({ run: runId, signal }, async (session) => {
          const publication = await findPublication(session, capture.publication, oids);
          return new Set(publication?.tables.map(({ oid }) => oid));
        }),
      mirrors: new Map(),
      onCopyWanted: ({ schema, name: table }) => void this.#copyWanted.push({ schema, name: table }),
      onWarning: (warning) => void this.#warnings.push(warning),
    };
    await this.#start(replication, feed);
    const pulse = new SourcePulse(source, { runId, slot: capture.slot, interval: input.heartbeat, signal });
    const ticker = setInterval(() => this.#tick(feed, pulse), TICK);
    signal.addEventListener('abort', feed.wake, { once: true });
    this.#context.onProgress(this.#progress(pulse));
    try {
      return await this.#write(feed, segments, pulse, capture);
    } catch (error) {
      signal.throwIfAborted();
      throw readFailure(error, source, capture);
    } finally {
      clearInterval(ticker);
      signal.removeEventListener('abort', feed.wake);
      await pulse.close();
    }
  }

  /** "Active for another process" is usual after a restart: the server has yet to notice that its client is gone. */
  async #start(replication: ReplicationSession, feed: ChangeFeed): Promise<void> {
    const { source } = this.#context;
    const signal = this.#signal;
    const { slot, failover } = this.#request.input;
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (failover) await replication.enableFailover(slot);
        const { started } = feed.stream;
        replication.start(feed.stream);
        await started;
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (sqlStateOf(error) !== '55006' || attempt > 3 * PATIENCE) throw startFailure(error, source, slot);
      }
      if (attempt >= PATIENCE) {
        await source.read({ run: this.#request.runId, signal }, async (session) =>
          endStreamOf(session, slot, this.#request.runId),
        );
      }
      await sleep(BETWEEN_TRIES, undefined, { signal });
    }
  }

  async #write(
    feed: ChangeFeed,
    segments: SegmentContext,
    pulse: SourcePulse,
    { captureId, tablesVersion }: Capture,
  ): Promise<StreamOutcome | 'tables changed'> {
    const { warehouse } = this.#context;
    const signal = this.#signal;
    const limits = { run: this.#request.runId, signal };
    for (;;) {
      if (this.#copyWanted.length > 0) return await this.#outcome('copy wanted', pulse);
      const first = await this.#next(feed, () => this.#wanted(feed, pulse));
      const reason = this.#reasonToEnd(pulse);
      if (first === undefined) {
        signal.throwIfAborted();
        return await this.#outcome(reason ?? 'time is up', pulse);
      }
      const written = await warehouse.write(limits, async (session) => {
        const version = await lockPosition(session, captureId, this.#position);
        if (version !== tablesVersion) return undefined;
        let segment: Segment | undefined = first;
        let changes = 0;
        for (;;) {
          await writeSegment(session, segment, segments);
          changes += segment.rows.count;
          feed.release(segment.rows);
          if (segment.end !== undefined) {
            await advance(session, captureId, { ...segment.end, changes });
            return { ...segment.end, changes };
          }
          segment = await this.#next(feed, () => (signal.aborted ? 'end' : 'changes'));
          if (segment === undefined)
            throw new DatakitError('Unexpected', 'the stream ended in a transaction');
        }
      });
      if (written === undefined) return 'tables changed';
      this.#written(written);
      this.#tick(feed, pulse);
    }
  }

  async #next(feed: ChangeFeed, look: Parameters<ChangeFeed['next']>[0]): Promise<Segment | undefined> {
    this.#waitsSince = performance.now();
    try {
      return await feed.next(look);
    } finally {
      this.#waitsSince = undefined;
    }
  }

  #written(end: {
    position: string;
    committedAt: string | null;
    transactions: number;
    changes: number;
  }): void {
    this.#position = this.#safe = end.position;
    this.#storedAt = performance.now();
    this.#committedAt = end.committedAt ?? this.#committedAt;
    this.#transactions += end.transactions;
    this.#changes += end.changes;
    this.#speed.add(end.changes);
  }

  /** A position alone is worth a warehouse transaction only now and then, or if it is waited for. */
  #wanted(feed: ChangeFeed, pulse: SourcePulse): 'changes' | 'position' | 'end' {
    if (this.#signal.aborted || this.#reasonToEnd(pulse) !== undefined) return 'end';
    const { untilPosition } = this.#request;
    const awaited = untilPosition !== undefined && parseLsn(feed.reached) >= parseLsn(untilPosition);
    return awaited || performance.now() - this.#storedAt >= IDLE_INTERVAL ? 'position' : 'changes';
  }

  #reasonToEnd({ heldBack }: SourcePulse): StreamOutcome['reason'] | undefined {
    const { untilPosition, input } = this.#request;
    if (untilPosition !== undefined && parseLsn(this.#position) >= parseLsn(untilPosition))
      return 'caught up';
    if (input.onSlotLag === 'drop' && heldBack > (input.maxSlotLag ?? Infinity)) return 'slot lag';
    return performance.now() >= this.#deadline ? 'time is up' : undefined;
  }

  /** Runs once a second, and after each warehouse transaction. */
  #tick(feed: ChangeFeed, pulse: SourcePulse): void {
    const { input } = this.#request;
    const now = performance.now();
    const still = now - Math.max(feed.heardAt, this.#waitsSince ?? now);
    if (still > input.stallTimeout && parseLsn(pulse.end) > parseLsn(this.#position)) {
      const behind = formatBytes(Number(parseLsn(pulse.end) - parseLsn(this.#position)));
      this.#stalled.abort(
        new DatakitError(
          'Stalled',
          `the stream of slot "${input.slot}" is connected and has come no further for ${formatDuration(still)}, with ${behind} before it`,
        ),
      );
    }
    feed.acknowledge(this.#safe);
    feed.wake();
    this.#context.onProgress(this.#progress(pulse));
  }

  #progress(pulse: SourcePulse): StreamProgress {
    return {
      position: this.#position,
      ...(this.#committedAt !== undefined && { committedAt: this.#committedAt }),
      transactions: this.#transactions,
      changes: this.#changes,
      changesPerSecond: this.#speed.now(),
      ...pulse.lagOf(this.#position),
    };
  }

  async #outcome(reason: StreamOutcome['reason'], pulse: SourcePulse): Promise<StreamOutcome> {
    // dropping a slot must not wait for the warehouse
    const waiting = reason === 'slot lag' ? [] : await this.#stillWaiting();
    const copyWanted = [...this.#copyWanted, ...waiting];
    return { ...this.#progress(pulse), reason, warnings: this.#warnings, copyWanted };
  }

  /** Returns tables that an earlier attempt found to need another copy, if it was lost before it could say so. */
  async #stillWaiting(): Promise<TableName[]> {
    const { captureId, runId: run } = this.#request;
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.size === 0) return [];
    const options = { run, signal: this.#signal };
    const tables = await this.#context.warehouse.write(options, async (session) =>
      readTables(session, captureId),
    );
    const still = tables.filter((table) => waitsForCopy(table) && waiting.has(formatTableName(table)));
    return still.map(({ schema, name }) => ({ schema, name }));
  }
}

/** True if a table has to be copied and no snapshot has been taken for that. */
const waitsForCopy = ({ mirrored, status, copiedAt }: CaptureTable): boolean =>
  mirrored && status === 'copying' && copiedAt === null;

/**
 * Protocol 1 has all messages; transactions are sent when committed, and the server spools large ones to disk.
 *
 * Starts where the slot is, not at the stored position, so that what it sends again can be compared.
 */
function startStatement({ slot, publication }: Capture): string {
  const options = [
    `proto_version '1'`,
    `publication_names ${quoteOption(quoteName(publication))}`,
    `messages 'true'`,
  ];
  return `START_REPLICATION SLOT ${quoteName(slot)} LOGICAL 0/0 (${options.join(', ')})`;
}

/** Quotes a value in a replication command, whose grammar has no `E''`: a backslash is one. */
const quoteOption = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** What a session of either database was answered is a failure with a kind by now: another comes from the slot. */
function readFailure(error: unknown, { label }: Database, { slot, publication }: Capture): unknown {
  if (error instanceof DatakitError || sqlStateOf(error) !== '42704') return serverFailure(error, label);
  return new DatakitError(
    'SlotLost',
    `The slot "${slot}" cannot be read any more: it has changes from when there was no publication "${publication}", and only PostgreSQL 18 and later read past them`,
    { cause: error },
  );
}

function startFailure(error: unknown, { label }: Database, slot: string): unknown {
  const failure = serverFailure(error, label);
  if (sqlStateOf(error) === '42704') {
    return new DatakitError('SlotLost', `The slot "${slot}" no longer exists`, { cause: error });
  }
  if (sqlStateOf(error) === '55000') {
    return new DatakitError('SlotLost', `The slot "${slot}" cannot be read any more: ${failure.message}`, {
      cause: error,
    });
  }
  return failure;
}
