import type { Client } from 'pg';
import type { Lab } from './lab.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Stops runs in the warehouse, at the ledger: before the first chunk is copied, when plan and snapshot
 * exist, or after the rows of a chunk, when only its mark is missing.
 */
export class HeldCopies {
  readonly #lab: Lab;
  readonly #keeper: Client;

  private constructor(lab: Lab, keeper: Client) {
    this.#lab = lab;
    this.#keeper = keeper;
  }

  static async hold(lab: Lab, where: 'before the first' | 'before each mark'): Promise<HeldCopies> {
    const keeper = await lab.connect('warehouse');
    const mode = where === 'before the first' ? 'ACCESS EXCLUSIVE' : 'SHARE';
    await keeper.query(`BEGIN; LOCK TABLE bronze.extraction_chunks IN ${mode} MODE`);
    return new HeldCopies(lab, keeper);
  }

  /** Waits until this many copies are stopped, and returns their sessions. */
  async reached(copies = 1): Promise<number[]> {
    let waiting: number[] = [];
    await waitUntil(async () => (waiting = await this.#waiting()).length >= copies);
    return waiting;
  }

  async release(): Promise<void> {
    await this.#keeper.query('COMMIT');
  }

  async #waiting(): Promise<number[]> {
    const { rows } = await this.#lab.warehouse.query<{ pid: number }>(
      `SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
        WHERE a.datname = current_database() AND a.usename = 'loader'
          AND l.relation = 'bronze.extraction_chunks'::regclass AND NOT l.granted`,
    );
    return rows.map(({ pid }) => pid);
  }
}
