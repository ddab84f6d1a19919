import type { Session } from '../postgres/session.ts';

/** Runs work in a source transaction of its own, which sees what was committed before it. */
export type Ask = <T>(work: (source: Session) => Promise<T>) => Promise<T>;
