import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { prepareOrders, refusal, ROW_VALUE } from './refusal.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await prepareOrders(lab);
  await lab.source.query(`CREATE TABLE log (note text);
    CREATE FUNCTION fails() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
      BEGIN RAISE EXCEPTION 'the first is %', (SELECT status FROM orders LIMIT 1); END $$;
    CREATE FUNCTION casts() RETURNS int LANGUAGE sql STABLE AS $$ SELECT status::int FROM orders LIMIT 1 $$;
    CREATE FUNCTION executes(text) RETURNS int LANGUAGE plpgsql STABLE AS $$
      DECLARE found int; BEGIN EXECUTE format('SELECT %I FROM orders', $1) INTO found; RETURN found; END $$;
    CREATE FUNCTION raises(text) RETURNS int LANGUAGE plpgsql STABLE AS $$
      BEGIN RAISE undefined_table USING MESSAGE = $1; END $$;
    CREATE SEQUENCE counter; GRANT USAGE ON SEQUENCE counter TO extractor; GRANT INSERT ON log TO extractor;
    CREATE FUNCTION logs() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES ('x'); RETURN true; END $$;
    CREATE VIEW logged AS SELECT * FROM orders WHERE logs();
    CREATE TABLE parted (id int, note text) PARTITION BY RANGE (id);
    CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE TABLE parted_b PARTITION OF parted DEFAULT;
    INSERT INTO parted SELECT i, '${ROW_VALUE}' FROM generate_series(1, 20) i`);
});
afterAll(async () => lab.close());

describe('what is no expression is refused', () => {
  test.each([
    ['two statements', 'true; DROP TABLE log'],
    ['a comment at its end', 'true --'],
    ['a comment with its end', 'true -- x\n'],
    ['a comment in the middle', 'true /* ) */'],
    ['parentheses that try to leave the COPY', `true)) TO PROGRAM 'touch /tmp/leaked' --`],
    ['parentheses that widen it', 'id = 1) OR (true'],
    ['a data-changing CTE', `EXISTS (WITH x AS (INSERT INTO log VALUES ('x') RETURNING 1) SELECT FROM x)`],
    ['a parameter', 'id = $1'],
  ])('%s', async (_name, where) => {
    const message = await refusal(lab, { table: 'orders', where }, 'InvalidExpression');
    expect(message).toContain('"where" was refused');
    expect(message).toContain('Write "where" as one SQL expression of type boolean');
    expect((await lab.source.query('SELECT FROM log')).rowCount).toBe(0);
  });
});

describe('what the server cannot understand is refused in its words', () => {
  test.each([
    ['not boolean', 'id + 1', 'argument of WHERE must be type boolean, not type integer'],
    ['an unknown column', 'totl > 1', 'column "totl" does not exist'],
    ['an unknown function', 'lowr(status) = 1', 'function lowr(text) does not exist'],
    ['types that do not meet', 'id = status', 'operator does not exist: integer = text'],
    ['a literal of another type', `id = 'seven'`, 'invalid input syntax for type integer: "seven"'],
    ['an aggregate', 'count(*) > 1', 'aggregate functions are not allowed in WHERE'],
    ['a table that is not there', 'id IN (SELECT id FROM nowhere)', 'relation "nowhere" does not exist'],
    ['another row than that of the table', 'others.id = 1', 'missing FROM-clause entry for table "others"'],
  ])('%s', async (_name, where, words) => {
    const message = await refusal(lab, { table: 'orders', where }, 'InvalidExpression');
    expect(message).toContain(`"where" was refused by the source: ${words}`);
  });
});

describe('what fails on the rows themselves fails without telling them', () => {
  test.each([
    ['a value that cannot be cast', 'status::int > 1', 'SQLSTATE 22P02'],
    ['a division by zero', '1 / (id - id) > 0', 'a division by zero (SQLSTATE 22012)'],
    ['a function that raises with a value', 'fails()', 'SQLSTATE P0001'],
    ['a function that casts a value', 'casts() = id', 'SQLSTATE 22P02'],
    ['a value as the name of a table', 'status::regclass = id', 'a text was not accepted'],
    ['a value as that of another database', `(status || '.a.b')::regclass = id`, 'SQLSTATE 0A000'],
    ['a value as the name of a type', `('(int ' || status)::regtype = id`, 'SQLSTATE 42601'],
    ['a value as the name of a setting', 'current_setting(status) = status', 'SQLSTATE 42704'],
    ['a value as a query', `to_tsquery('simple', status || ' x') IS NULL`, 'SQLSTATE 42601'],
    ['a value as the name of a column', 'executes(status) = id', 'SQLSTATE 42703'],
  ])('%s', async (_name, where, words) => {
    const message = await refusal(lab, { table: 'orders', where }, 'InvalidValue');
    expect(message).toContain(words);
    expect(message).toContain('If "where" computes with values, guard it');
  });
});

test('a function that raises as if a table were missing does not start the run anew', async () => {
  const message = await refusal(lab, { table: 'orders', where: 'raises(status) = id' }, 'UndefinedObject');
  expect(message).toContain('a function raised an error (SQLSTATE 42P01)');
});

describe('what writes where it is read is refused, and not taken for a server that takes no writes', () => {
  test.each([
    ['a sequence', { table: 'orders', where: `nextval('counter') > 0` }, 'cannot execute nextval()'],
    ['a function of a view', { table: 'logged' }, 'cannot execute INSERT'],
  ])('%s', async (_name, request, words) => {
    const message = await refusal(lab, request, 'InvalidInput');
    expect(message).toContain(`source "default": ${words} in a read-only transaction`);
    expect(message).toContain('something that this run reads tries to write');
    expect(message).not.toContain('WAREHOUSE_DATABASE_URL');
  });
});

test('the name of a partitioned table may be used, though its partitions are what is read', async () => {
  expect(await lab.extract({ table: 'parted', where: 'parted.id > 5' })).toMatchObject({
    rows: 15,
    partitions: 2,
  });
});

test('a name with its schema is refused at once, since partitions are read by another', async () => {
  const message = await refusal(lab, { table: 'parted', where: 'public.parted.id > 5' }, 'InvalidExpression');
  expect(message).toContain('FROM-clause entry for table "parted"');
});
