import type { Copied } from '../../contract/chunks.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { Session } from '../session.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut } from './copy-out.ts';

/** Called with the bytes copied so far; if it returns a promise, that is awaited before more pass. */
export type OnBytes = (bytes: number) => void | Promise<void>;

interface CopyEnd {
  readonly session: Session;
  readonly statement: string;
}

export interface CopyEnds {
  readonly source: CopyEnd;
  readonly target: CopyEnd;
  /** Called for every buffer, with the bytes of all so far. */
  readonly onProgress?: OnBytes;
}

/**
 * Pipes `COPY … TO STDOUT` of one server into `COPY … FROM STDIN` of another.
 *
 * Bytes pass as they are: no value is parsed, so none can change, and memory is bounded by the
 * buffers in between.
 *
 * @throws {DatakitError} CountMismatch if the servers disagree on how many rows were copied
 */
export async function pipeCopy({ source, target, onProgress }: CopyEnds): Promise<Copied> {
  let bytes = 0;
  // later data must not overtake data that has to wait; as long as none has to, no promise is created
  let waiting: Promise<void> | undefined;
  return target.session.copy(new CopyIn(target.statement), async (writing) => {
    await labelled(target, writing.ready);
    const out = new CopyOut(source.statement, (data, giveBack) => {
      bytes += data.length;
      const pause = onProgress?.(bytes);
      if (pause === undefined && waiting === undefined) {
        writing.write(data, giveBack);
        return;
      }
      const before = waiting;
      waiting = Promise.all([before, pause]).then(() => writing.write(data, giveBack));
      waiting.catch(giveBack);
    });
    return source.session.copy(out, async (reading) => {
      // reading ends before writing can, unless writing fails; of two failures the first is the cause
      const read = await Promise.race([labelled(source, reading.rows), labelled(target, writing.rows)]);
      await waiting;
      writing.end();
      requireSameCount(read, await labelled(target, writing.rows));
      return { rows: read, bytes };
    });
  });
}

async function labelled<T>({ session }: CopyEnd, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw session.failureOf(error);
  });
}

function requireSameCount(read: number, written: number): void {
  if (read === written) return;
  throw new DatakitError('CountMismatch', `The source sent ${read} rows and the warehouse took ${written}`);
}
