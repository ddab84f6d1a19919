import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
/** A table with three rows, extracted once. */
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.warehouse.query('CREATE SCHEMA people; GRANT USAGE, CREATE ON SCHEMA people TO PUBLIC');
});
afterAll(async () => lab.close());

beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(`CREATE TABLE ${table} (id int, name text, n int);
    INSERT INTO ${table} SELECT i, 'name ' || i, i FROM generate_series(1, 3) i`);
  await lab.extract({ table });
});

/** Changes the rows of the source and repeats the run. */
async function extractAgain(): Promise<void> {
  await lab.source.query(
    `DELETE FROM ${table} WHERE id <> 2; INSERT INTO ${table} SELECT i, 'new ' || i, i FROM generate_series(3, 9) i`,
  );
  await lab.extract({ table });
  await expectSameRows(lab, table, bronze);
}

async function one(sql: string): Promise<unknown> {
  const { rows } = await lab.warehouse.query<unknown[]>({ text: sql, rowMode: 'array' });
  return rows[0]?.[0];
}

async function definitions(where: string): Promise<string[]> {
  const { rows } = await lab.warehouse.query<{ text: string }>(
    `SELECT indexname || ': ' || regexp_replace(indexdef, ' ON .* USING', ' USING') AS text FROM pg_indexes WHERE ${where} ORDER BY 1`,
  );
  return rows.map(({ text }) => text);
}

describe('what people attached to a bronze table survives its replacement', () => {
  test('a view, and a view on it, show the new rows', async () => {
    await lab.warehouse.query(`CREATE VIEW people.v_${table} AS SELECT id, name FROM ${bronze} WHERE id > 1;
      CREATE VIEW people.w_${table} AS SELECT count(*) FROM people.v_${table}`);
    expect(await one(`TABLE people.w_${table}`)).toBe('2');
    await extractAgain();
    expect(await one(`TABLE people.w_${table}`)).toBe('8');
  });

  test('a materialized view keeps its rows and can be refreshed', async () => {
    await lab.warehouse.query(`CREATE MATERIALIZED VIEW people.m_${table} AS SELECT id FROM ${bronze}`);
    await extractAgain();
    expect(await one(`SELECT count(*) FROM people.m_${table}`)).toBe('3');
    await lab.warehouse.query(`REFRESH MATERIALIZED VIEW people.m_${table}`);
    expect(await one(`SELECT count(*) FROM people.m_${table}`)).toBe('8');
  });

  test('grants, of the table and of columns', async () => {
    await lab.warehouse
      .query(`DROP ROLE IF EXISTS reader; CREATE ROLE reader; GRANT USAGE ON SCHEMA bronze TO reader;
      GRANT SELECT (id) ON ${bronze} TO reader; GRANT INSERT ON ${bronze} TO reader`);
    await extractAgain();
    await lab.warehouse.query('SET ROLE reader');
    try {
      expect(await one(`SELECT count(id) FROM ${bronze}`)).toBe('8');
      await expect(one(`SELECT name FROM ${bronze}`)).rejects.toThrow('permission denied');
    } finally {
      await lab.warehouse.query(`RESET ROLE; DROP OWNED BY reader; DROP ROLE reader`);
    }
  });

  test('comments, row-level security, statistics objects and triggers', async () => {
    await lab.warehouse
      .query(`COMMENT ON TABLE ${bronze} IS 'ours'; COMMENT ON COLUMN ${bronze}.n IS 'a number';
      CREATE STATISTICS bronze.s_${table} ON id, n FROM ${bronze};
      ALTER TABLE ${bronze} ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON ${bronze} USING (id > 4);
      CREATE TRIGGER same BEFORE UPDATE ON ${bronze} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`);
    await extractAgain();
    expect(await one(`SELECT obj_description('${bronze}'::regclass, 'pg_class')`)).toBe('ours');
    expect(await one(`SELECT col_description('${bronze}'::regclass, 3)`)).toBe('a number');
    expect(await one(`SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = '${bronze}'::regclass`)).toBe(
      '1',
    );
    expect(await one(`SELECT count(*) FROM pg_policy WHERE polrelid = '${bronze}'::regclass`)).toBe('1');
    expect(await one(`SELECT count(*) FROM pg_trigger WHERE tgname = 'same'`)).toBe('2');
  });

  test('NOT NULL, CHECK and a primary key with the run in it', async () => {
    await lab.warehouse
      .query(`ALTER TABLE ${bronze} ALTER id SET NOT NULL, ADD CONSTRAINT positive CHECK (n > 0),
      ADD PRIMARY KEY (id, _bronze_run_id)`);
    await extractAgain();
    expect(await one(`SELECT count(*) FROM pg_constraint WHERE conrelid = '${bronze}'::regclass`)).toBe('4');
  });
});

test(
  'a key of the partition that is checked at the end of a transaction still is',
  { tags: 'long' },
  async () => {
    const partition = String(
      await one(`SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${bronze}'::regclass`),
    );
    await lab.warehouse.query(
      `ALTER TABLE ${partition} ADD CONSTRAINT late_${table} UNIQUE (id) DEFERRABLE INITIALLY DEFERRED`,
    );
    const definition = `SELECT pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid <> '${bronze}'::regclass AND contype = 'u' AND conindid IN
      (SELECT indexrelid FROM pg_index JOIN pg_inherits ON indrelid = inhrelid WHERE inhparent = '${bronze}'::regclass)`;
    const before = await one(definition);
    expect(before).toBe('UNIQUE (id) DEFERRABLE INITIALLY DEFERRED');
    await extractAgain();
    expect(await one(definition)).toBe(before);
  },
);

test(
  'an exclusion constraint of the partition stays, under its name, and refuses rows that do not fit',
  { tags: 'long' },
  async () => {
    const constraints = async () =>
      one(`SELECT string_agg(conname || ' ' || pg_get_constraintdef(c.oid), ',') FROM pg_constraint c
           JOIN pg_partitioned_table ON partdefid = conrelid WHERE partrelid = '${bronze}'::regclass`);
    await lab.warehouse.query(
      `ALTER TABLE ${String(await one(`SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${bronze}'::regclass`))}
       ADD CONSTRAINT apart_${table} EXCLUDE USING gist (int4range(id, id + 1) WITH &&)`,
    );
    const before = await constraints();
    for (let times = 1; times <= 2; times += 1) await lab.extract({ table });
    expect(await constraints()).toBe(before);
    await lab.source.query(`INSERT INTO ${table} VALUES (2, 'again', 2)`);
    await expectFailure(lab.extract({ table }), 'SchemaConflict', `apart_${table}`);
  },
);

test('columns that people changed or added stay as they are, and are filled in new rows', async () => {
  await lab.warehouse.query(`ALTER TABLE ${bronze} ALTER name TYPE text COLLATE "C", ADD own text COLLATE "C",
      ADD doubled int GENERATED ALWAYS AS (n * 2) STORED, ADD five int NOT NULL DEFAULT 5`);
  const expectFilled = async () => {
    await expectSameRows(lab, table, bronze);
    expect(
      await one(`SELECT bool_and(doubled = n * 2 AND five = 5 AND own IS NULL)
                   AND min(pg_collation_for(name) || pg_collation_for(own)) = '"C""C"' FROM ${bronze}`),
    ).toBe(true);
  };
  await extractAgain();
  await expectFilled();
  await lab.extractDatabase({ tables: [table] });
  await expectFilled();
  const merge = async () => lab.extract({ table, incremental: { column: 'n' }, write: 'merge', key: ['id'] });
  await merge();
  await lab.source.query(`UPDATE ${table} SET n = n + 100 WHERE id > 5`);
  await merge();
  await expectFilled();
});

testVariants([
  [
    'a column without a default that is NOT NULL',
    'is NOT NULL, and new rows have no value',
    `ALTER TABLE % ADD own int; UPDATE % SET own = 1; ALTER TABLE % ALTER own SET NOT NULL`,
  ],
  ['a view on the partition', 'belongs on bronze.br_', `CREATE VIEW people.on_storage AS TABLE @`],
])('what cannot stay is named, and bronze stays as it was: %s', async ([, message, statement]) => {
  const storage = String(
    await one(`SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${bronze}'::regclass`),
  );
  await lab.warehouse.query(statement.replaceAll('%', bronze).replace('@', storage));
  await expectFailure(lab.extract({ table }), 'SchemaConflict', message);
  expect(await one(`SELECT count(*) FROM ${bronze}`)).toBe('3');
});

describe('a bronze table that is published', () => {
  const storage = async () =>
    String(
      await one(
        `SELECT partdefid::regclass FROM pg_partitioned_table WHERE partrelid = '${bronze}'::regclass`,
      ),
    );
  const identity = async () =>
    one(`SELECT relreplident FROM pg_class WHERE oid = '${await storage()}'::regclass`);
  const merge = async () => lab.extract({ table, incremental: { column: 'n' }, write: 'merge', key: ['id'] });

  test(
    'takes changed rows once its partition has a replica identity, and later ones have it too',
    { tags: 'long' },
    async () => {
      await merge();
      await lab.source.query(`UPDATE ${table} SET n = n + 10 WHERE id = 1`);
      await lab.warehouse.query(`CREATE PUBLICATION published FOR TABLE ${bronze}`);
      try {
        await expectFailure(merge(), 'SchemaConflict', /ALTER TABLE .*br_t.* REPLICA IDENTITY FULL/);
        await lab.warehouse.query(`ALTER TABLE ${await storage()} REPLICA IDENTITY FULL`);
        await merge();
        await expectSameRows(lab, table, bronze);
        await extractAgain();
        expect(await identity()).toBe('f');
        await lab.extractDatabase({ tables: [table] });
        expect(await identity()).toBe('f');
      } finally {
        await lab.warehouse.query('DROP PUBLICATION published');
      }
    },
  );

  test('keeps a replica identity by an index', async () => {
    await lab.warehouse.query(`ALTER TABLE ${await storage()} ALTER id SET NOT NULL;
      CREATE UNIQUE INDEX identity_${table} ON ${await storage()} (id);
      ALTER TABLE ${await storage()} REPLICA IDENTITY USING INDEX identity_${table}`);
    await extractAgain();
    expect(await identity()).toBe('i');
    expect(
      await one(`SELECT count(*) FROM pg_index WHERE indisreplident
      AND indexrelid = 'bronze_data.identity_${table}'::regclass`),
    ).toBe('1');
  });
});

describe('indexes', () => {
  test('on the bronze table are there for the new rows, and used', async () => {
    await lab.warehouse
      .query(`CREATE INDEX by_name_${table} ON ${bronze} (lower(name) text_pattern_ops DESC) INCLUDE (n) WHERE n > 2;
      CREATE INDEX "By ""Id""" ON ${bronze} USING hash (id)`);
    const before = await definitions(`tablename LIKE 'br_${table}\\_%'`);
    await extractAgain();
    const after = await definitions(`tablename LIKE 'br_${table}\\_%'`);
    const withoutNames = (texts: string[]) =>
      texts.map((text) => text.replace(/^.*?INDEX .* USING/, 'USING')).toSorted();
    expect(withoutNames(after)).toEqual(withoutNames(before));
    expect(
      await one(`SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = '${bronze}'::regclass`),
    ).toBe(true);
  });

  test('made on the partition itself are there again, by their names', async () => {
    const partition = String(
      await one(`SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${bronze}'::regclass`),
    );
    await lab.warehouse.query(
      `CREATE UNIQUE INDEX own_${table} ON ${partition} (id); CREATE INDEX "Own ""2""" ON ${partition} (name, (n + 1))`,
    );
    const where = `tablename LIKE 'br_${table}\\_%'`;
    const before = await definitions(where);
    expect(before).toHaveLength(2);
    await extractAgain();
    expect(await definitions(where)).toEqual(before);
    await extractAgain();
    expect(await definitions(where)).toEqual(before);
  });

  test('that are unique and do not fit the new rows end the run, and bronze is as it was', async () => {
    await lab.warehouse.query(
      `CREATE UNIQUE INDEX only_${table} ON ${String(
        await one(`SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '${bronze}'::regclass`),
      )} (id)`,
    );
    await lab.source.query(`INSERT INTO ${table} VALUES (1, 'secret value', 2)`);
    const failure = await lab.extract({ table }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ cause: { type: 'SchemaConflict' } });
    const { message } = (failure as { cause: Error }).cause;
    expect(message).toContain(`only_${table}`);
    expect(message).not.toContain('secret');
    expect(await one(`SELECT count(*) FROM ${bronze}`)).toBe('3');
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});

describe('partitions that people attached to a bronze table', () => {
  const partition = async () =>
    String(
      await one(
        `SELECT partdefid::regclass FROM pg_partitioned_table WHERE partrelid = '${bronze}'::regclass`,
      ),
    );

  test('keep their rows, however the others are replaced', { tags: 'long' }, async () => {
    const kept = `people.a_${table}`;
    await lab.warehouse.query(`CREATE TABLE ${kept} (LIKE ${bronze}); ALTER TABLE ${kept} OWNER TO loader;
      INSERT INTO ${kept} (id, name, n, _bronze_run_id) VALUES (99, 'old', 7, 'kept');
      ALTER TABLE ${bronze} ATTACH PARTITION ${kept} FOR VALUES IN ('kept')`);
    const expectKept = async () => {
      await expectSameRows(lab, table, bronze, { targetWhere: `_bronze_run_id <> 'kept'` });
      expect(await one(`SELECT name FROM ${bronze} WHERE id = 99`)).toBe('old');
    };
    await lab.source.query(`DELETE FROM ${table} WHERE id = 2`);
    await lab.extract({ table });
    await expectKept();
    await lab.source.query(`INSERT INTO ${table} VALUES (4, 'four', 4)`);
    await lab.extractDatabase({ tables: [table] });
    await expectKept();
    await lab.source.query(`ALTER TABLE ${table} ADD late int DEFAULT 5, ALTER n TYPE bigint`);
    await lab.extract({ table });
    expect(await one(`SELECT sum(late) FROM ${bronze}`)).toBe('15');
    expect(await one(`SELECT n FROM ${bronze} WHERE id = 99`)).toBe('7');
    await lab.source.query(`ALTER TABLE ${table} ALTER name TYPE int USING id`);
    await expectFailure(lab.extract({ table }), 'SchemaConflict', 'detach it');
    expect(await one(`SELECT name FROM ${bronze} WHERE id = 99`)).toBe('old');
  });

  test(
    'may be ours of earlier: it is theirs with other bounds, and refused as the default one elsewhere',
    { tags: 'long' },
    async () => {
      const [ours, run] = [await partition(), await one(`SELECT _bronze_run_id FROM ${bronze}`)];
      const moved = ours.replace('bronze_data.', 'people.');
      await lab.warehouse.query(`ALTER TABLE ${ours} SET SCHEMA people`);
      const refused = { type: 'TargetConflict', message: expect.stringContaining(moved) as string };
      await expect(lab.extract({ table })).rejects.toMatchObject({ cause: refused });
      await expect(lab.extractDatabase({ tables: [table] })).rejects.toMatchObject({
        cause: { message: refused.message },
      });
      expect(await one(`SELECT count(*) FROM ${moved}`)).toBe('3');
      await lab.warehouse.query(`ALTER TABLE ${bronze} DETACH PARTITION ${moved};
      ALTER TABLE ${bronze} ATTACH PARTITION ${moved} FOR VALUES IN ('${String(run)}')`);
      await lab.source.query(`INSERT INTO ${table} VALUES (4, 'four', 4)`);
      for (const times of [1, 2]) {
        await lab.extract({ table });
        expect(await one(`SELECT count(*) FROM ${moved}`)).toBe('3');
        expect(await one(`SELECT count(*) FROM ${bronze}`), `run ${times}`).toBe('7');
      }
    },
  );
});
