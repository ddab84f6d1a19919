import type { CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import type { Lab } from '../setup/lab.ts';

/** Captures of a table `t` of a lab, whose slots and publications the test may change as a superuser. */
export class CapturedTable {
  readonly lab: Lab;
  readonly captures: CaptureLab;
  #rows = 0;

  protected constructor(captures: CaptureLab) {
    this.lab = captures.lab;
    this.captures = captures;
  }

  static async of(lab: Lab): Promise<CapturedTable> {
    return new CapturedTable(await this.make(lab));
  }

  protected static async make(lab: Lab): Promise<CaptureLab> {
    const captures = await CaptureLab.open(lab);
    await lab.source.query('CREATE TABLE t (id int PRIMARY KEY)');
    return captures;
  }

  async asAdmin(statement: string): Promise<void> {
    await this.lab.source.query('RESET ROLE');
    await this.lab.source.query(statement);
    await this.lab.source.query('SET ROLE extractor');
  }

  nextRow(): number {
    this.#rows += 1;
    return this.#rows;
  }

  async insert(): Promise<void> {
    await this.lab.source.query(`INSERT INTO t VALUES (${this.nextRow()})`);
  }

  /** Runs a capture that streams a change and ends, and returns its slot. */
  async captured(more: Partial<CaptureChangesRequest> = {}): Promise<string> {
    const slot = this.captures.slotName();
    await this.catchUp(slot, more);
    await this.insert();
    await this.catchUp(slot, more);
    return slot;
  }

  async catchUp(slot: string, more: Partial<CaptureChangesRequest> = {}): ReturnType<CaptureLab['catchUp']> {
    return this.captures.catchUp({ tables: ['t'], slot, mirror: true, ...more });
  }

  /** Returns the current end of the source's WAL. */
  async endOfLog(): Promise<string> {
    const { rows } = await this.lab.source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    return rows[0]?.lsn ?? '';
  }
}
