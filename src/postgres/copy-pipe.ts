import type { Copied } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut } from './copy-out.ts';
import { serverFailure } from './server-failure.ts';
import type { Session } from './session.ts';

export interface CopyEnds {
  readonly source: { readonly session: Session; readonly label: string; readonly statement: string };
  readonly target: { readonly session: Session; readonly label: string; readonly statement: string };
  /** Called for every buffer that passed, with the bytes of all so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Pipes `COPY … TO STDOUT` of one server into `COPY … FROM STDIN` of another.
 *
 * Bytes pass as they come: no value is parsed, so none can change, and memory is bounded by the
 * buffers in between.
 *
 * @throws {DatakitError} CountMismatch when the servers do not agree how many rows passed
 */
export async function pipeCopy({ source, target, onProgress }: CopyEnds): Promise<Copied> {
  let bytes = 0;
  return target.session.copy(new CopyIn(target.statement), async (writing) => {
    await labelled(target, writing.ready);
    const out = new CopyOut(source.statement, (data, giveBack) => {
      bytes += data.length;
      onProgress?.(bytes);
      writing.write(data, giveBack);
    });
    return source.session.copy(out, async (reading) => {
      try {
        const read = await firstToFail(labelled(source, reading.rows), labelled(target, writing.rows));
        writing.end();
        const written = await labelled(target, writing.rows);
        requireSameCount(read, written);
        return { rows: read, bytes };
      } finally {
        reading.discard();
      }
    });
  });
}

/** The first end settles with success before the second can; either may fail first, and is the cause then. */
async function firstToFail(reading: Promise<number>, writing: Promise<number>): Promise<number> {
  return Promise.race([reading, writing]);
}

async function labelled<T>({ label }: { readonly label: string }, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw serverFailure(error, label);
  });
}

function requireSameCount(read: number, written: number): void {
  if (read === written) return;
  throw new DatakitError('CountMismatch', `The source sent ${read} rows and the warehouse took ${written}`);
}
