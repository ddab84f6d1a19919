import { parse } from 'libpg-query';
import { describe, expect, test } from 'vitest';
import { assertExpression } from '../../src/postgres/expression.ts';

const check = async (text: string): Promise<void> => assertExpression(text, 'where');

describe('one expression passes', () => {
  test.each([
    `status = 'open' AND total > 100`,
    `true`,
    `a OR b AND NOT c`,
    `(a = 1) OR (b = 2)`,
    `id IN (SELECT order_id FROM lines WHERE qty > 2)`,
    `(SELECT count(*) FROM lines l WHERE l.order_id = orders.id) > 1`,
    `EXISTS (SELECT FROM a UNION SELECT FROM b)`,
    `EXISTS (WITH recent AS (SELECT 1) SELECT FROM recent)`,
    `id = ANY (ARRAY[1, 2, 3])`,
    `(a, b) > (1, 2)`,
    `created_at >= now() - interval '1 day'`,
    `created_at::date = DATE '2026-01-01'`,
    `CAST(total AS int) BETWEEN 1 AND 10`,
    `data ->> 'kind' = 'x' AND data @> '{"a": [1]}' AND data #>> '{a,0}' = '1'`,
    `data ? 'key'`,
    `data ?| ARRAY['a', 'b'] AND data ?& ARRAY['c'] AND data @? '$.a[*] ? (@ > 2)'`,
    `note = 'a -- b' AND other = 'c /* d */ e'`,
    `note = 'it''s; fine'`,
    `note = E'tab\\t; \\'quoted\\' --'`,
    `note = $$it's -- a 'quote'; $$`,
    `note = $tag$ $$ ) ; -- $tag$`,
    `note = U&'\\00e9'`,
    `"odd -- name" = 1 AND "a;b" = 2 AND "/*" = 3`,
    `"a$1" = 1 AND a$1 = 2`,
    `note LIKE '%$1%'`,
    `name = 'größe 表 🙂'`,
    `CASE WHEN a THEN b ELSE c END`,
    `sum(a) OVER (PARTITION BY b ORDER BY c) > 1`,
    `a IS NOT DISTINCT FROM b`,
    `total\n  > 1`,
    `a - -1 > 0`,
    `xpath('/a', doc) IS NOT NULL`,
    `tstzrange(a, b) && tstzrange(c, d)`,
    `id % 2 = 0`,
    `(SELECT true)`,
  ])('%s', async (text) => {
    await expect(check(text)).resolves.toBeUndefined();
  });
});

describe('what is more than an expression, or none, is refused', () => {
  test.each([
    ['nothing', '   '],
    ['two statements', `true; DROP TABLE orders`],
    ['two statements that are balanced', `true); DROP TABLE orders; SELECT (true`],
    ['a semicolon at the end', `true;`],
    ['leaving the COPY', `true)) TO PROGRAM 'x' --`],
    ['leaving the COPY, without a comment', `true)) TO PROGRAM 'x'`],
    ['leaving the COPY, all balanced', `true)) TO PROGRAM 'x'; COPY (SELECT (true`],
    ['widening the condition', `true) OR (true`],
    ['a condition that is shut and opened', `a) AND (b`],
    ['a union', `true UNION SELECT true`],
    ['a union from within', `true) UNION SELECT (1`],
    ['several', `a, b`],
    ['a name for it', `a AS b`],
    ['a name without AS', `a b`],
    ['another table', `a FROM secrets`],
    ['a condition of its own', `a WHERE b`],
    ['a group', `true GROUP BY a`],
    ['an order', `true ORDER BY a`],
    ['a limit', `true LIMIT 1`],
    ['an offset', `true OFFSET 1`],
    ['a lock', `true FOR UPDATE`],
    ['a window', `true WINDOW w AS ()`],
    ['into a table', `true INTO stolen`],
    ['distinct', `DISTINCT a`],
    ['all', `ALL a`],
    ['every column', `*`],
    ['a statement', `SELECT true`],
    ['another statement', `DELETE FROM orders`],
    ['a keyword in front', `WHERE true`],
    ['an unclosed parenthesis', `(true`],
    ['one parenthesis too many', `true)`],
    ['an unclosed string', `note = 'x`],
    ['an unclosed name', `"note = 1`],
    ['an unclosed dollar quote', `note = $$x`],
    ['a dollar quote with another tag', `note = $a$x$b$`],
    ['an unclosed comment', `true /* x`],
    ['a comment at the end', `true -- x`],
    ['a comment and a line after it', `true -- x\n`],
    ['a comment in the middle', `true /* x */ AND false`],
    ['a nested comment', `true /* /* */ */`],
    ['a comment that hides a parenthesis', `true /* ) */`],
    ['a comment after a multibyte character', `name = '🙂表é' /* x */`],
    ['a parameter', `id = $1`],
    ['a parameter after a string', `name = '表' AND id = $2`],
    ['a variable of psql', `id = :id`],
    ['a NUL character', `id = 1\0`],
    ['inserting', `EXISTS (WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT FROM x)`],
    ['updating', `EXISTS (WITH x AS (UPDATE t SET a = 1 RETURNING 1) SELECT FROM x)`],
    ['deleting', `EXISTS (WITH x AS (DELETE FROM t RETURNING 1) SELECT FROM x)`],
    [
      'merging',
      `EXISTS (WITH x AS (MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE RETURNING 1) SELECT FROM x)`,
    ],
    [
      'deleting, deep within',
      `a = (SELECT 1 WHERE EXISTS (WITH x AS (DELETE FROM t RETURNING 1) SELECT FROM x))`,
    ],
    ['more parentheses than the grammar can hold', `${'('.repeat(50_000)}true${')'.repeat(50_000)}`],
    ['more depth than the parser can hold', `${'1+'.repeat(100_000)}1 = 1`],
  ])('%s', async (_name, text) => {
    await expect(check(text)).rejects.toMatchObject({ kind: 'InvalidExpression' });
  });
});

test('a long list costs little more than being parsed twice: the worker does nothing else meanwhile', async () => {
  const list = `id IN (${Array.from({ length: 100_000 }, (_, index) => 1_000_000 + index).join(', ')})`;
  await check(list);
  const parsing = await cpuOf(async () => parse(`SELECT ${list}`));
  expect(await cpuOf(async () => check(list))).toBeLessThan(4 * parsing);
});

async function cpuOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

test('one that is nested deeper than JavaScript can call passes, too', async () => {
  await expect(check(`${'NOT '.repeat(5_000)}true`)).resolves.toBeUndefined();
});

describe('the refusal', () => {
  test('says which input, what is wrong and where', async () => {
    await expect(check('total > > 1 +')).rejects.toThrow(
      /^"where" was refused: PostgreSQL's grammar says: syntax error .*In: total > > 1 \+/,
    );
    await expect(check('a, b')).rejects.toThrow('it is more than one expression');
    await expect(check('true /* x */')).rejects.toThrow('it has a comment');
    await expect(check('id = $1')).rejects.toThrow('it has a parameter');
    await expect(check('EXISTS (WITH x AS (DELETE FROM t RETURNING 1) SELECT FROM x)')).rejects.toThrow(
      'it changes data',
    );
    await expect(check(`${'1+'.repeat(100_000)}1 = 1`)).rejects.toThrow('it is nested too deeply');
  });

  test('stays short', async () => {
    const error: unknown = await check(`${'x = 1 AND '.repeat(10_000)} (`).catch((thrown: unknown) => thrown);
    expect(String(error).length).toBeLessThan(500);
  });

  test('leaves the parser in order for the next', async () => {
    await expect(check(`${'1+'.repeat(100_000)}1 = 1`)).rejects.toThrow('where');
    await expect(check('id = 1')).resolves.toBeUndefined();
  });
});
