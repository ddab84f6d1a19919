import {
  CancellationScope,
  condition,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { listed } from '../contract/listed.ts';
import type { Observed } from '../contract/observed.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import {
  readsItsOwnMoment,
  type ExtractDatabaseInput,
  type ExtractDatabaseRequest,
} from '../contract/extract-database.ts';
import { parallelism, type ExtractTableRequest } from '../contract/extract-table.ts';
import { InputError, parseInput, suggestion } from '../contract/parse-input.ts';
import type { DatabaseProgress, Phase } from '../contract/progress.ts';
import { parseTableName } from '../contract/table-name.ts';
import { TableSelection } from '../contract/table-selection.ts';
import { copyTables, steerTables } from './activities.ts';
import { withBeside } from './beside.ts';
import { databaseDetails } from './database-details.ts';
import { databaseProgress } from './database-progress.ts';
import { canBeginAgain, isSnapshotLost, messageOf, ofKind } from './failure.ts';
import {
  PROGRESS_DESCRIPTION,
  SET_PARALLELISM_DESCRIPTION,
  databaseProgressQuery,
  parallelismSignal,
  pauseSignal,
  resumeSignal,
  retryTableUpdate,
  setParallelismUpdate,
  sharedSnapshotSignal,
  skipTableUpdate,
} from './messages.ts';
import { PauseGate } from './pause-gate.ts';
import { mostCopies } from './share-out.ts';
import type { SnapshotRelay } from './snapshot-relay.ts';
import { startTableChild, tellSince } from './table-child.ts';
import { TableList, type ListedTable } from './table-list.ts';
import { TaskSet } from './task-set.ts';
import { tellChild } from './tell-child.ts';
import { Units, type Unit } from './units.ts';
import { Visibility } from './visibility.ts';

const LONGEST_MESSAGE = 500;

/** The state of a database run: what is to be done, what is under way, and the messages that steer it. */
export class DatabaseRunState {
  readonly identity: RunIdentity;
  readonly warnings: string[] = [];
  list = new TableList([]);
  snapshot: Snapshot | undefined;
  restarts = 0;
  readonly #selection: TableSelection;
  readonly #input: ExtractDatabaseInput;
  readonly #gate: PauseGate;
  readonly #visibility: Visibility;
  readonly #units: Units;
  readonly #skipped = new Set<number>();
  #phase: Phase = 'planning';
  #copyingSince = 0;
  /** True once work has failed that the run does not begin again for: what else is under way is being cancelled. */
  #isFailing = false;
  #restartReason: string | undefined;
  #observed: Observed | undefined;

  constructor(identity: RunIdentity, input: ExtractDatabaseInput, request: ExtractDatabaseRequest) {
    this.identity = identity;
    this.#input = input;
    this.#selection = new TableSelection(request);
    this.#units = new Units(input);
    this.#visibility = new Visibility({ source: input.source, mode: 'database' });
    this.#gate = new PauseGate();
    this.#gate.listen(() => this.#show());
    setHandler(databaseProgressQuery, () => this.progress, { description: PROGRESS_DESCRIPTION });
    setHandler(setParallelismUpdate, async (width) => this.#setParallelism(width), {
      validator: (width) => {
        parseInput(parallelism, width, input.parallelism);
        this.#requireGoingOn();
      },
      description: SET_PARALLELISM_DESCRIPTION,
    });
    setHandler(skipTableUpdate, async (name) => this.#skip(name), {
      validator: (name) => this.#requireState(name, ['waiting', 'running'], 'skipped'),
      description: 'Leaves a table out that is not done yet: "public.orders".',
    });
    setHandler(retryTableUpdate, (name) => this.#retry(name), {
      validator: (name) => this.#requireState(name, ['failed', 'skipped'], 'tried again'),
      description: 'Extracts a table again that has failed or was skipped: "public.orders".',
    });
    this.#show();
  }

  begin(list: TableList, searchAttributes: boolean): void {
    this.list = list;
    this.#phase = 'copying';
    this.#copyingSince = Date.now();
    this.#visibility.isKnown(searchAttributes);
    this.#visibility.show('copying');
    this.#show();
  }

  /** Records the snapshot that all tables are of. */
  isOf(snapshot: Snapshot): void {
    this.snapshot = snapshot;
    this.#show();
  }

  beginAgain(restarts: number, reason: string): void {
    this.restarts = restarts;
    this.#isFailing = false;
    this.#restartReason = reason;
    this.#observed = undefined;
    this.list.reset();
    this.#show();
  }

  observed(observed: Observed): void {
    this.#observed = observed;
    this.#show();
  }

  close(phase: Phase): void {
    this.#phase = phase;
    this.#visibility.show(phase, this.list.total().rows);
    this.#show();
  }

  /** Extracts all waiting tables, including those that start to wait in the meantime. */
  async extractTables(relay: SnapshotRelay | undefined): Promise<void> {
    await withBeside(
      async () => this.#gate.tell(async (paused) => this.#tellPaused(paused)),
      async () =>
        TaskSet.run(async (tasks) => {
          for (;;) {
            await tasks.until(() => this.#mayStart || this.#isDone);
            if (tasks.hasFailed || this.#isDone) return;
            tasks.start(async () => this.#extractNext(relay));
          }
        }),
    );
  }

  /** The numbers of the tables that somebody has skipped. */
  get skipped(): readonly number[] {
    return [...this.#skipped];
  }

  async tellSnapshot(snapshot: Snapshot): Promise<void> {
    for (const { child } of this.#units) await tellChild(child, sharedSnapshotSignal, snapshot);
  }

  get #isDone(): boolean {
    return this.#units.size === 0 && this.list.waiting === 0;
  }

  get #mayStart(): boolean {
    if (this.#gate.paused || this.list.waiting === 0) return false;
    return this.#units.hasRoomFor({ holds: this.#holds(this.list.nextAlone()) });
  }

  /** Returns whether a table holds its own snapshot while its own workflow extracts it. */
  #holds(alone: ListedTable | undefined): boolean {
    const { consistency } = this.#input;
    if (alone === undefined || consistency === 'none') return false;
    return consistency === 'table' || this.#readsItsOwnMoment(alone);
  }

  #readsItsOwnMoment(table: ListedTable): boolean {
    return table.changed || readsItsOwnMoment(this.#requestFor(table));
  }

  #requestFor({ table }: ListedTable): ExtractTableRequest {
    return this.#selection.requestFor(parseTableName(table) ?? { schema: 'public', name: table });
  }

  /** Takes the next work from the list before awaiting anything. */
  async #extractNext(relay: SnapshotRelay | undefined): Promise<void> {
    const alone = this.list.nextAlone();
    const waiting = this.list.waiting;
    const tables =
      alone === undefined ? this.list.nextPack(this.#units.atOnce, patched('worthwhile-packs')) : [alone];
    const most = alone === undefined ? 1 : mostCopies(alone.bytes);
    const { unit, giving } = this.#units.begin({ tables, most, holds: this.#holds(alone) }, waiting);
    this.list.started(tables, Date.now());
    this.#show();
    await this.#tellWidths(giving);
    try {
      if (alone === undefined) await this.#extractPack(tables, relay);
      else await this.#extractAlone(alone, unit, relay);
    } catch (error) {
      this.#isFailing ||= !isSnapshotLost(error) && !isCancellation(error);
      throw error;
    } finally {
      this.#units.end(unit);
      await this.#spread();
      this.#show();
    }
  }

  async #spread(): Promise<void> {
    await this.#tellWidths(this.#units.spread(this.list.waiting));
  }

  async #tellWidths(units: readonly Unit[]): Promise<void> {
    for (const { child, width } of units) await tellChild(child, parallelismSignal, width);
  }

  async #extractPack(tables: readonly ListedTable[], relay: SnapshotRelay | undefined): Promise<void> {
    const names = tables.map(({ table }) => table);
    const copy = async (snapshot?: Snapshot) =>
      copyTables.executeWithOptions({ summary: listed(names, 1) }, [
        {
          ...this.identity,
          source: this.#input.source,
          members: tables.map(({ member }) => member),
          restarts: this.restarts,
          ...(snapshot !== undefined && { snapshot }),
        },
      ]);
    const copied = await (relay === undefined ? copy() : relay.lend(copy));
    const outcomes = new Map(copied.tables.map((one) => [one.member, one]));
    for (const table of tables) {
      const outcome = outcomes.get(table.member);
      if (outcome === undefined) this.list.waits(table);
      else if (outcome.outcome === 'alone' && this.#wasSkipped(table)) this.list.ended(table, 'skipped');
      else if (outcome.outcome === 'alone' && !this.list.isLong) this.list.waits(table, true);
      else if (outcome.outcome === 'alone' || outcome.outcome === 'failed')
        this.#fail(table, outcome.message);
      else this.list.ended(table, outcome.outcome, outcome);
    }
  }

  /** In earlier versions a table that was skipped while a pack tried it had a workflow of its own all the same. */
  #wasSkipped({ member }: ListedTable): boolean {
    return this.#skipped.has(member) && patched('skipped-while-it-was-tried');
  }

  async #extractAlone(table: ListedTable, unit: Unit, relay: SnapshotRelay | undefined): Promise<void> {
    const scope = new CancellationScope();
    table.stop = () => scope.cancel();
    try {
      const { runId } = this.identity;
      const { isSparing } = this.#units;
      const request = this.#requestFor(table);
      const lender = this.#readsItsOwnMoment(table) ? undefined : relay;
      const result = await scope.run(async () => {
        const told = { width: unit.width, snapshot: (await lender?.held())?.snapshot };
        unit.child = await startTableChild({ runId, table, request, isSparing }, told);
        await tellSince(unit, told, this.#gate, lender);
        return unit.child.result();
      });
      if (relay !== undefined && (lender === undefined || result.restarts > 0))
        this.#warnOfLaterMoment(table);
      // an unchanged table is in bronze as it is in the source now
      this.list.ended(table, result.outcome === 'superseded' ? 'superseded' : 'committed', result);
    } catch (error) {
      // cancelled with the run, or the table alone: by `skipTable` or by its own workflow id
      if (CancellationScope.current().consideredCancelled) throw error;
      if (isCancellation(error)) this.list.ended(table, 'skipped');
      else if (relay !== undefined && this.#canReadLater(table, error)) {
        table.changed = true;
        this.list.waits(table);
      } else this.#fail(table, messageOf(error), error);
    }
  }

  #warnOfLaterMoment(table: ListedTable): void {
    const reason =
      this.#readsItsOwnMoment(table) && !table.changed
        ? 'what it reads depends on the state of its partitions in bronze'
        : 'it was changed after the snapshot';
    this.warnings.push(`${table.table} is of a later moment than the others: ${reason}.`);
  }

  /** Returns whether a table that its child may not read again itself, for lack of a session, can be read once more. */
  #canReadLater(table: ListedTable, error: unknown): boolean {
    return this.#units.isSparing && !this.#readsItsOwnMoment(table) && canBeginAgain(error);
  }

  #fail(table: ListedTable, message = 'It failed.', error?: unknown): void {
    this.list.ended(table, 'failed', { message: message.slice(0, LONGEST_MESSAGE) });
    if (this.#input.onTableFailure !== 'stop') return;
    throw error ?? ofKind('Unexpected', `${table.table}: ${message}`);
  }

  async #tellPaused(paused: boolean): Promise<void> {
    const signal = paused ? pauseSignal : resumeSignal;
    for (const { child } of this.#units) await tellChild(child, signal);
    await this.#steer();
  }

  async #steer(): Promise<void> {
    const { identity, skipped } = this;
    await steerTables({ runId: identity.runId, paused: this.#gate.paused, skipped });
  }

  async #setParallelism(width: number): Promise<number> {
    const before = this.#units.parallelism;
    this.#units.parallelism = width;
    this.#show();
    await this.#spread();
    return before;
  }

  async #skip(name: string): Promise<string> {
    const table = this.#named(name);
    this.#skipped.add(table.member);
    if (table.state === 'waiting') {
      this.list.ended(table, 'skipped');
      this.#show();
      return `${table.table} is skipped`;
    }
    if (table.stop !== undefined) {
      table.stop();
      await condition(() => table.state !== 'running');
      return `${table.table} is ${table.state}`;
    }
    await this.#steer();
    return `${table.table} is skipped, unless it is being copied already`;
  }

  #retry(name: string): string {
    const table = this.#named(name);
    this.#skipped.delete(table.member);
    this.list.waits(table, true);
    this.#show();
    return `${table.table} waits to be extracted again`;
  }

  #named(name: string): ListedTable {
    const table = this.list.find(name);
    if (table !== undefined) return table;
    if (this.#phase === 'planning')
      throw new InputError('The tables of this run are not known yet: try again in a moment');
    const hint = suggestion(name, this.list.tables.map((one) => one.table)); // prettier-ignore
    throw new InputError(`${name} is not a table of this run${hint}`);
  }

  #requireState(name: string, states: readonly ListedTable['state'][], what: string): void {
    if (typeof name !== 'string') throw new InputError('expected the name of a table: "public.orders"');
    this.#requireGoingOn();
    const { table, state } = this.#named(name);
    if (states.includes(state)) return;
    throw new InputError(`${table} is ${state}: only what is ${states.join(' or ')} can be ${what}`);
  }

  /** Refuses what would be accepted and never done. */
  #requireGoingOn(): void {
    const hasEnded = this.#phase !== 'planning' && this.#phase !== 'copying';
    if (!hasEnded && !this.#isFailing && !CancellationScope.current().consideredCancelled) return;
    throw new InputError('The run is about to end: nothing of it can be changed any more');
  }

  get progress(): DatabaseProgress {
    const { list, snapshot, restarts } = this;
    return databaseProgress(list, this.#observed, {
      phase: this.#gate.paused && this.#phase === 'copying' ? 'paused' : this.#phase,
      parallelism: this.#units.parallelism,
      copyingSince: this.#copyingSince,
      ...(snapshot !== undefined && { snapshotTakenAt: snapshot.takenAt }),
      restarts,
      ...(this.#restartReason !== undefined && { restartReason: this.#restartReason }),
    });
  }

  #show(): void {
    setCurrentDetails(databaseDetails(this.progress, Date.now()));
  }
}
