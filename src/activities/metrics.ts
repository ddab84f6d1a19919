import { Context } from '@temporalio/activity';
import type { MetricGauge } from '@temporalio/common';
import type { Copied } from '../contract/chunks.ts';
import type { RunOutcome } from '../contract/run-outcome.ts';
import type { FailureKind } from '../contract/failures.ts';

/** Counts what was copied, once it is durable. */
export function countCopied(source: string, { rows, bytes }: Copied, chunks: number): void {
  const { metricMeter } = Context.current();
  const tags = { source };
  metricMeter.createCounter('datakit_rows', 'rows', 'Rows copied to the warehouse').add(rows, tags);
  metricMeter.createCounter('datakit_bytes', 'By', 'COPY data that went through the worker').add(bytes, tags);
  metricMeter.createCounter('datakit_chunks', 'chunks', 'Chunks copied').add(chunks, tags);
}

/** Counts a commit and measures how far behind the source its rows were; skips runs that copied nothing. */
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

/** Counts a failed attempt by kind, and as a retry unless it is final. */
export function countFailure(kind: FailureKind, final: boolean): void {
  Context.current()
    .metricMeter.createCounter('datakit_failures', 'failures', 'Attempts that failed, by kind')
    .add(1, { kind, final: String(final) });
  if (!final) countRetry(kind);
}

/** Counts work that is retried in any way: by Temporal, by the activity itself, or by a run of its own. */
export function countRetry(kind: FailureKind): void {
  Context.current()
    // the SDK tags the activity itself
    .metricMeter.createCounter('datakit_retries', 'retries', 'Work that failed and is tried again, by kind')
    .add(1, { kind });
}

/** The snapshots that this worker holds open, by holder. */
const openSnapshots = new Map<string, { readonly source: string; readonly takenAt: string }>();

/** Reports the age of the oldest snapshot of a source that this worker holds, and so how far it holds back vacuum. */
export function measureSnapshot(holder: string, source: string, takenAt: string | undefined): void {
  if (takenAt === undefined) openSnapshots.delete(holder);
  else openSnapshots.set(holder, { source, takenAt });
  const ages = [...openSnapshots.values()]
    .filter((one) => one.source === source)
    .map((one) => (Date.now() - Date.parse(one.takenAt)) / 1000);
  gauge('datakit_snapshot_age_seconds', 'Age of the oldest snapshot held open').set(Math.max(0, ...ages), {
    source,
  });
}

/** @param name with its unit: the exporter appends that to all names but those of gauges */
export const gauge = (name: string, description: string): MetricGauge =>
  Context.current().metricMeter.createGauge(name, 'float', undefined, description);
