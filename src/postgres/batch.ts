import type { Session } from './session.ts';

/** Takes statements whose answers nobody needs: a session, which runs each at once, or a {@link Batch}, which keeps them. */
export type Writer = Pick<Session, 'query'> | Batch;

/** Statements that are sent together: where each is short, the way to the server and back takes longer than its work. */
export class Batch {
  readonly #statements: string[] = [];

  /** Keeps a statement. */
  async query(text: string): Promise<void> {
    this.#statements.push(text);
  }

  /** Runs all of them, in their order. What fails fails all. */
  async run(session: Session): Promise<void> {
    await session.query(this.#statements.join(';\n'));
  }
}
