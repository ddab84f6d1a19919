import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Copied } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { CopyOut } from './copy-out.ts';
import { serverFailure } from './server-failure.ts';
import type { Session } from './session.ts';

/** Hears of the bytes that have passed; what it promises is waited for before more pass. */
export type OnBytes = (bytes: number) => void | Promise<void>;

export interface CopyEnds {
  readonly source: { readonly session: Session; readonly label: string; readonly statement: string };
  readonly target: { readonly session: Session; readonly label: string; readonly statement: string };
  /** Called for every buffer that passed, with the bytes of all so far. */
  readonly onProgress?: OnBytes;
}

/**
 * Pipes `COPY … TO STDOUT` of one server into `COPY … FROM STDIN` of another.
 *
 * Bytes pass as they come: no value is parsed, so none can change, and memory is bounded by the
 * buffers of the two streams. The two sessions must not be the same (node-pg-copy-streams #160).
 *
 * @throws {DatakitError} CountMismatch when the servers do not agree how many rows passed
 */
export async function pipeCopy({ source, target, onProgress }: CopyEnds): Promise<Copied> {
  let bytes = 0;
  async function* counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      const pause = onProgress?.(bytes);
      if (pause instanceof Promise) await pause;
      yield chunk;
    }
  }
  return source.session.copy(new CopyOut(source.statement), async (reading) =>
    target.session.copy(copyFrom(target.statement), async (writing) => {
      const failure = firstFailure([reading, source.label], [writing, target.label]);
      try {
        await pipeline(reading, counted, writing);
      } catch (error) {
        throw failure() ?? serverFailure(error, `${source.label} to ${target.label}`);
      }
      requireSameCount(reading.rowCount, writing.rowCount);
      return { rows: reading.rowCount, bytes };
    }),
  );
}

/** When one end fails the pipeline ends the other, which then fails too: the first to fail is the cause. */
function firstFailure(...ends: [NodeJS.EventEmitter, string][]): () => DatakitError | undefined {
  let first: DatakitError | undefined;
  for (const [stream, label] of ends) {
    stream.once('error', (error: unknown) => (first ??= serverFailure(error, label)));
  }
  return () => first;
}

function requireSameCount(read: number, written: number): void {
  if (read === written) return;
  throw new DatakitError('CountMismatch', `The source sent ${read} rows and the warehouse took ${written}`);
}
