import { quoteText } from './identifiers.ts';
import type { Session } from './session.ts';

/** With its parameters, `$1` and on. */
export type Statement = readonly [text: string, values: readonly unknown[]];

/** Takes statements whose answers nobody needs: a session, which runs each at once, or a {@link Batch}, which keeps them. */
export type Writer = Pick<Session, 'query'> | Batch;

/** What a parameter of a statement in a batch can be. */
type Value = string | number | boolean | null;

/** Statements that are sent together: where each is short, the way to the server and back takes longer than its work. */
export class Batch {
  readonly #statements: string[] = [];

  /** Keeps a statement with its parameters, `$1` and on, as literals whose types the server finds out. */
  async query(text: string, values: readonly unknown[] = []): Promise<void> {
    this.#statements.push(text.replaceAll(/\$(\d+)/g, (_, number) => literal(values[Number(number) - 1])));
  }

  /** Runs all of them, in their order. What fails fails all. */
  async run(session: Session): Promise<void> {
    await session.query(this.#statements.join(';\n'));
  }
}

function literal(value: unknown): string {
  if (!isValue(value)) throw new Error(`a batch takes no ${typeof value}`);
  return value === null ? 'NULL' : quoteText(String(value));
}

const isValue = (value: unknown): value is Value =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);
