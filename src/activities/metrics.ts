import { Context } from '@temporalio/activity';
import type { Copied, RunOutcome } from '../contract/activities.ts';
import type { FailureKind } from '../contract/failures.ts';

/** Counts what was copied: durable by the time it is counted. */
export function countCopied(source: string, { rows, bytes }: Copied, chunks: number): void {
  const { metricMeter } = Context.current();
  const tags = { source };
  metricMeter.createCounter('datakit_rows', 'rows', 'Rows copied to the warehouse').add(rows, tags);
  metricMeter.createCounter('datakit_bytes', 'By', 'COPY data that went through the worker').add(bytes, tags);
  metricMeter.createCounter('datakit_chunks', 'chunks', 'Chunks copied').add(chunks, tags);
}

/** Counts a commit, and measures how far behind the source its rows were. Of an earlier attempt's nothing is known any more. */
export function measureCommit({ source, snapshotAt, outcome }: RunOutcome): void {
  if (source === undefined || snapshotAt === undefined) return;
  const { metricMeter } = Context.current();
  metricMeter
    .createCounter('datakit_tables', 'tables', 'Tables that were committed to bronze')
    .add(1, { source, outcome });
  metricMeter
    .createHistogram('datakit_lag', 'float', 'seconds', 'Age of rows when they were committed')
    .record(Math.max(0, (Date.now() - Date.parse(snapshotAt)) / 1000), { source });
}

/** By kind; what is not final is tried again. */
export function countFailure(kind: FailureKind, final: boolean): void {
  Context.current()
    .metricMeter.createCounter('datakit_failures', 'failures', 'Attempts that failed, by kind')
    .add(1, { kind, final: String(final) });
  if (!final) countRetry(kind);
}

/** Counts what is tried again, in whatever way: by Temporal, by the activity itself, or by a run of its own. */
export function countRetry(kind: FailureKind): void {
  Context.current()
    // which activity it is the SDK says
    .metricMeter.createCounter('datakit_retries', 'retries', 'Work that failed and is tried again, by kind')
    .add(1, { kind });
}

/** When each snapshot was taken that this worker holds open, by holder. */
const openSnapshots = new Map<string, { readonly source: string; readonly takenAt: string }>();

/** Tells how old the oldest snapshot of a source is that this worker holds, and so how far back its vacuum is held up. */
export function measureSnapshot(holder: string, source: string, takenAt: string | undefined): void {
  if (takenAt === undefined) openSnapshots.delete(holder);
  else openSnapshots.set(holder, { source, takenAt });
  const ages = [...openSnapshots.values()]
    .filter((one) => one.source === source)
    .map((one) => (Date.now() - Date.parse(one.takenAt)) / 1000);
  Context.current()
    .metricMeter.createGauge(
      // the exporter puts the unit after the names of all but gauges
      'datakit_snapshot_age_seconds',
      'float',
      undefined,
      'Age of the oldest snapshot held open',
    )
    .set(Math.max(0, ...ages), { source });
}
