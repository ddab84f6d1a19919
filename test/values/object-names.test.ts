import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  await lab.source.query(
    `ALTER ROLE extractor IN DATABASE source_${lab.name} SET search_path = 'Odd "schema', public`,
  );
  await lab.startWorkers();
});
afterAll(async () => lab.close());

test('names of objects are told in full, whatever the search path is', async () => {
  await lab.source.query(`CREATE SCHEMA "Odd ""schema"; SET search_path = 'Odd "schema', public;
    CREATE TABLE "My table" (id int); CREATE TYPE mood AS ENUM ('fine'); CREATE DOMAIN a_table AS regclass;
    CREATE FUNCTION f(mood, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE public.objects (oid int, class regclass, proc regproc, procedure regprocedure, operator regoperator, type regtype,
      namespace regnamespace, role regrole, config regconfig, dictionary regdictionary, "collation" regcollation,
      domain a_table, classes regclass[], nothing regclass, gone regclass);
    INSERT INTO public.objects VALUES (1, '"My table"', 'now', 'f(mood,int)', '+(int,int)', 'mood',
      '"Odd ""schema"', 'extractor', 'english', 'simple', '"C"', '"My table"', ARRAY['"My table"', 'pg_class', NULL]::regclass[], 0, 999999)`);
  await lab.extract({ table: 'objects', verify: 'checksum' });
  const { rows } = await lab.warehouse.query('SELECT * FROM bronze.br_objects');
  const table = '"Odd ""schema"."My table"';
  expect(rows).toMatchObject([
    {
      class: table,
      proc: 'pg_catalog.now()',
      procedure: '"Odd ""schema".f("Odd ""schema".mood,integer)',
      operator: 'pg_catalog.+(integer,integer)',
      type: '"Odd ""schema".mood',
      namespace: '"Odd ""schema"',
      role: 'extractor',
      config: 'pg_catalog.english',
      dictionary: 'pg_catalog.simple',
      collation: 'pg_catalog."C"',
      domain: table,
      classes: [table, 'pg_catalog.pg_class', null],
      nothing: '-',
      gone: '999999',
    },
  ]);
});

test('arrays of them keep their form', async () => {
  await lab.source.query(`CREATE TABLE public.forms (id int, classes regclass[]);
    INSERT INTO public.forms VALUES (1, '{}'), (2, NULL), (3, '{{pg_class},{pg_type}}'), (4, '[0:0]={pg_class}')`);
  await lab.extract({ table: 'forms' });
  const { rows } = await lab.warehouse.query('SELECT classes::text FROM bronze.br_forms ORDER BY id');
  expect(rows.map(({ classes }: { classes: string | null }) => classes)).toEqual([
    '{}',
    null,
    '{{pg_class},{pg_type}}',
    '[0:0]={pg_class}',
  ]);
});
