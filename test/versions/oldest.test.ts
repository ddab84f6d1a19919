import { describe, expect, test } from 'vitest';
import { hasVersion } from '../../local/postgres-binaries.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { labOf } from './lab-of-version.ts';

const OLDEST = 14;

/** Every kind of run sends its statements to the oldest servers; what values become is in the long suite. */
describe.runIf(hasVersion(OLDEST))(`with source and warehouse of PostgreSQL ${OLDEST}`, () => {
  const lab = labOf(['source', 'warehouse'], OLDEST);

  test('a table is copied in chunks, from a snapshot', async () => {
    await lab().source.query(
      `CREATE TABLE many AS SELECT i AS id, repeat('x', i % 300) AS filler FROM generate_series(1, 20000) i`,
    );
    const where = 'id % 3 = 0';
    const { chunks } = await lab().extract({ table: 'many', where, chunkSize: '512kB', verify: 'checksum' });
    expect(chunks).toBeGreaterThan(2);
    await expectSameRows(lab(), 'many', 'bronze.br_many', { where });
  });

  test('increments of partitions are merged, and deleted rows are marked', async () => {
    await lab().source.query(`CREATE TABLE parts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)
        PARTITION BY RANGE (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (100);
      CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (1000);
      INSERT INTO parts (v) SELECT 'old' FROM generate_series(1, 120)`);
    const request = {
      table: 'parts',
      write: 'merge',
      currentView: true,
      incremental: { column: 'id' },
    } as const;
    await lab().extract(request);
    await lab().source.query(`INSERT INTO parts (v) SELECT 'new' FROM generate_series(1, 30);
      DELETE FROM parts WHERE id % 10 = 0`);
    const { incremental, warnings } = await lab().extract({ ...request, detectDeletes: true });
    expect({ incremental, warnings }).toMatchObject({
      incremental: { added: 27, deleted: 12, protection: 'oldest transaction' },
      warnings: [],
    });
    await expectSameRows(lab(), 'parts', 'bronze.br_parts_current');
  });

  test('many tables are copied as of one moment, and what proves that partitions are as they were is read', async () => {
    await lab().source
      .query(`CREATE SCHEMA shop; CREATE TABLE shop.one (id int); INSERT INTO shop.one VALUES (1), (2);
      CREATE TABLE shop.days (day date) PARTITION BY RANGE (day);
      CREATE TABLE shop.days_1 PARTITION OF shop.days FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
      INSERT INTO shop.days VALUES ('2024-01-02')`);
    const tables = [
      'shop.one',
      { table: 'shop.days', write: 'replace-partitions', onlyChanged: true },
    ] as const;
    expect(await lab().extractDatabase({ tables: [...tables] })).toMatchObject({
      outcome: 'complete',
      committed: 2,
    });
    await expectSameRows(lab(), 'shop.one', 'bronze.br_shop__one');
    await expectSameRows(lab(), 'shop.days', 'bronze.br_shop__days');
  });

  test('changes are captured, and copies follow them', async () => {
    const captures = await CaptureLab.open(lab());
    await lab().source.query(`CREATE TABLE followed (id int PRIMARY KEY, v text);
      INSERT INTO followed SELECT i, 'first' FROM generate_series(1, 100) i`);
    const slot = captures.slotName();
    const request = { tables: ['followed'], slot, mirror: true };
    await expectFailure(
      captures.catchUp({ ...request, failover: true }),
      'UnsupportedServer',
      /"failover" needs/,
    );
    expect(await captures.catchUp(request)).toMatchObject({ copiedRows: 100 });
    await lab().source.query(
      `UPDATE followed SET v = 'second' WHERE id <= 10; DELETE FROM followed WHERE id > 90`,
    );
    expect(await captures.catchUp(request)).toMatchObject({ changes: 20 });
    await expectSameRows(lab(), 'followed', 'bronze.br_followed');
    await captures.drop({ slot });
  });

  test(
    'changes from when there was no publication cannot be read, which is told',
    { tags: 'long' },
    async () => {
      const captures = await CaptureLab.open(lab());
      await lab().source.query('CREATE TABLE unpublished (id int PRIMARY KEY)');
      const slot = captures.slotName();
      const request = { tables: ['unpublished'], slot, mirror: true };
      await captures.catchUp(request);
      await lab().source.query(`ALTER PUBLICATION ${slot} RENAME TO away; INSERT INTO unpublished VALUES (1);
      ALTER PUBLICATION away RENAME TO ${slot}; INSERT INTO unpublished VALUES (2)`);
      await expect(captures.catchUp(request)).rejects.toMatchObject({
        cause: {
          type: 'SlotLost',
          message: expect.stringMatching(/no publication.*Run dropCapture/) as string,
        },
      });
      await captures.drop({ slot });
      await captures.catchUp(request);
      await expectSameRows(lab(), 'unpublished', 'bronze.br_unpublished');
      await captures.drop({ slot });
    },
  );
});
