import type { Client } from 'pg';
import type { Lab } from './lab.ts';
import { waitUntil } from './wait-until.ts';

const LOCK = 4242;

/**
 * A point in the middle of a COPY at which the source stops until it is released.
 *
 * A condition that calls `gate` waits at one row for an advisory lock held by a session of the test:
 * the server is busy, has sent some of the rows, and can be cancelled, killed and restarted there. No lock timeout ends
 * the wait, so that it does not matter how long a test takes to do what it wants to do meanwhile.
 */
export class Gate {
  readonly #keeper: Client;
  readonly #lab: Lab;

  private constructor(keeper: Client, lab: Lab) {
    this.#keeper = keeper;
    this.#lab = lab;
  }

  static async closed(lab: Lab): Promise<Gate> {
    const keeper = await lab.connect('source');
    await keeper.query(`CREATE OR REPLACE FUNCTION gate(here boolean) RETURNS boolean LANGUAGE plpgsql STABLE
      SET lock_timeout = 0 AS $$
      BEGIN
        IF here THEN
          PERFORM pg_advisory_lock_shared(${LOCK});
          PERFORM pg_advisory_unlock_shared(${LOCK});
        END IF;
        RETURN true;
      END $$`);
    await keeper.query(`SELECT pg_advisory_lock(${LOCK})`);
    return new Gate(keeper, lab);
  }

  /** Waits until this many COPYs are at the gate, and returns their sessions. */
  async reached(copies = 1): Promise<number[]> {
    let waiting: number[] = [];
    await waitUntil(async () => (waiting = await this.#waiting()).length >= copies);
    return waiting;
  }

  async open(): Promise<void> {
    await this.#keeper.query(`SELECT pg_advisory_unlock_all()`);
  }

  async #waiting(): Promise<number[]> {
    const { rows } = await this.#lab.source.query<{ pid: number }>(
      `SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
        WHERE a.datname = current_database() AND a.query LIKE 'COPY%'
          AND l.locktype = 'advisory' AND l.objid = ${LOCK} AND NOT l.granted`,
    );
    return rows.map(({ pid }) => pid);
  }
}
