import type { LocalStack } from '../local/stack.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { CountingProxy } from './counting-proxy.ts';
import { query } from './execute.ts';
import { measure } from './measure.ts';
import type { SourceTable } from './peers/peer.ts';
import type { Measured, Sample } from './result.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';
import { median } from './statistics.ts';
import type { Subject } from './subjects.ts';

/** Tables that are there to be copied. */
export interface Case {
  readonly name: string;
  readonly tables: readonly SourceTable[];
  readonly rows: number;
  readonly bytes: number;
}

/** What takes longer than this to warm up is not run again: that run is its measurement. */
const SLOW_SECONDS = 30;

/**
 * Copies by each of the subjects in turn: A B C A B C …, after a round that warms up and counts what goes through the
 * network.
 */
export async function inTurn(
  stack: LocalStack,
  subjects: readonly Subject[],
  copied: Case,
  rounds: number,
): Promise<Measured[]> {
  const runs = [];
  for (const subject of subjects) runs.push({ subject, ...(await warmUp(stack, subject, copied)) });
  const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { subject, failed, slow } of runs) {
      if (failed !== undefined || slow !== undefined) continue;
      await settle(stack);
      const start = await subject.prepare(copied.tables);
      const sample = await measure(stack, subject.workers, start);
      samples.get(subject)?.push(sample);
      say(`  ${copied.name}, round ${round}: ${subject.name} ${formatDuration(sample.seconds * 1000)}`);
    }
  }
  return runs.map(({ subject, wire, failed, slow }) => ({
    subject: subject.name,
    case: copied.name,
    rows: copied.rows,
    bytes: copied.bytes,
    samples: slow === undefined ? (samples.get(subject) ?? []) : [slow],
    ...(wire !== undefined && { wire }),
    ...(failed !== undefined && { failed }),
  }));
}

/** Whose own workers have run before. */
const warm = new WeakSet<Subject>();

async function warmUp(
  stack: LocalStack,
  subject: Subject,
  copied: Case,
): Promise<Pick<Measured, 'wire' | 'failed'> & { readonly slow?: Sample }> {
  const [source, warehouse] = await Promise.all([
    CountingProxy.before(stack.sourceUrl),
    CountingProxy.before(stack.warehouseUrl),
  ]);
  try {
    const start = await subject.prepare(copied.tables, {
      sourceUrl: source.url,
      warehouseUrl: warehouse.url,
    });
    const sample = await measure(stack, subject.workers, start);
    const wire = { source: source.take().fromServer, warehouse: warehouse.take().toServer };
    await expectAllRows(subject, copied);
    say(`  ${copied.name}, warm-up: ${subject.name} ${formatDuration(sample.seconds * 1000)}`);
    if (sample.seconds > SLOW_SECONDS) return { wire, slow: sample };
    // the processes that were warmed up through the proxies are others than those that are measured
    if (subject.workers.length > 0 && !warm.has(subject)) await (await subject.prepare(copied.tables))().done;
    warm.add(subject);
    return { wire };
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    say(`  ${copied.name}: ${subject.name} failed, ${failed}`);
    return { failed };
  } finally {
    source.close();
    warehouse.close();
  }
}

/** A peer that copies nothing is quick. */
async function expectAllRows(subject: Subject, { tables, rows }: Case): Promise<void> {
  const counts = tables.map(({ name }) => `(SELECT count(*) FROM ${subject.target(name)})`);
  const [found] = await query<{ count: string }>(
    subject.warehouseUrl,
    `SELECT ${counts.join(' + ')} AS count`,
  );
  if (Number(found?.count) !== rows) throw new Error(`${found?.count} of ${rows} rows arrived`);
}

/** The median of what samples say. */
export const medianOf = (samples: readonly Sample[], of: (sample: Sample) => number): number =>
  median(samples.map(of));
