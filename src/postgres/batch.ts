import type { Session } from './session.ts';

/** Takes statements whose results are not needed: a session runs each at once, a {@link Batch} collects them. */
export type Writer = Pick<Session, 'query'> | Batch;

/** Statements that are sent together, because for short ones the round trip takes longer than the work. */
export class Batch {
  readonly #statements: string[] = [];

  /** Adds a statement. */
  async query(text: string): Promise<void> {
    this.#statements.push(text);
  }

  /** Runs all statements in order. If one fails, all do. */
  async run(session: Session): Promise<void> {
    await session.query(this.#statements.join(';\n'));
  }
}
