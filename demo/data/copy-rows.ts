import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from } from 'pg-copy-streams';
import { copyLine, type CopyValue } from './copy-text.ts';

/** Rows in the format the server reads. */
export interface CopyBatch {
  readonly rows: number;
  readonly text: string;
}

const ROWS_PER_BATCH = 5_000;
/** Batches made ahead of the server: making and reading overlap, and memory stays bounded. */
const BATCHES_AHEAD = 8;

/** Streams batches into one COPY and returns how many rows the server took. */
export async function copyBatches(
  client: Client,
  statement: string,
  batches: AsyncIterable<CopyBatch>,
  sent: (rows: number) => void,
): Promise<number> {
  const copy = client.query(from(statement));
  const texts = Readable.from(textsOf(batches, sent), { highWaterMark: BATCHES_AHEAD });
  await pipeline(texts, copy);
  return copy.rowCount;
}

async function* textsOf(
  batches: AsyncIterable<CopyBatch>,
  sent: (rows: number) => void,
): AsyncGenerator<Buffer> {
  for await (const { text, rows } of batches) {
    yield Buffer.from(text);
    sent(rows);
  }
}

/** Packs rows into batches, to avoid one message per row. */
export async function* batchesOf(rows: Iterable<readonly CopyValue[]>): AsyncGenerator<CopyBatch> {
  let lines: string[] = [];
  for (const row of rows) {
    lines.push(copyLine(row));
    if (lines.length < ROWS_PER_BATCH) continue;
    yield { rows: lines.length, text: lines.join('') };
    lines = [];
  }
  if (lines.length > 0) yield { rows: lines.length, text: lines.join('') };
}
