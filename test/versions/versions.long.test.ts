// @module-tag long
import { describe, expect, test } from 'vitest';
import { hasVersion } from '../../local/postgres-binaries.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { labOf } from './lab-of-version.ts';
import { valuesSuite } from './values-suite.ts';

/** The newest version is the one in all other tests, on both sides. */
const OLDEST = 14;
const BETWEEN = [15, 16, 17];

describe.runIf(hasVersion(OLDEST))(`from PostgreSQL ${OLDEST} to the newest`, () => {
  const lab = labOf('source', OLDEST);
  valuesSuite(lab);

  test('to analyze takes an owner, since it has no MAINTAIN', async () => {
    await lab().source.query('CREATE TABLE analyzed (id int)');
    const { rows } = await lab().source.query<{ owner: string }>('SELECT quote_ident(current_user) AS owner');
    await expectFailure(
      lab().extract({ table: 'analyzed', analyze: true }),
      'InsufficientPrivilege',
      RegExp(
        `only its owner and members of that role may. .* to run: GRANT "?${rows[0]?.owner}"? TO "extractor"`,
      ),
    );
  });
});

describe.runIf(hasVersion(OLDEST))(`from the newest to PostgreSQL ${OLDEST}`, () => {
  const lab = labOf('warehouse', OLDEST);
  valuesSuite(lab);

  test('modifiers that it lacks are left out', async () => {
    await lab().source.query(
      `CREATE TABLE scales (a numeric(3,-2), b numeric(2,4)); INSERT INTO scales VALUES (99900, 0.0012)`,
    );
    await lab().extract({ table: 'scales', verify: 'checksum' });
    const { rows } = await lab().warehouse.query('SELECT a::text, b::text FROM bronze.br_scales');
    expect(rows).toEqual([{ a: '99900', b: '0.0012' }]);
  });

  test('an interval that it lacks is refused and not changed', async () => {
    await lab().source.query(
      `CREATE TABLE infinite (span interval); INSERT INTO infinite VALUES ('infinity')`,
    );
    await expectFailure(lab().extract({ table: 'infinite' }), 'InvalidValue', 'in column "span"');
  });
});

describe.each(BETWEEN)('from PostgreSQL %i to the newest', (version) => {
  describe.runIf(hasVersion(version))('installed', () => {
    valuesSuite(labOf('source', version));
  });
});

test.runIf(process.env['CI'] !== undefined)('every older version is installed where it must be', () => {
  expect([OLDEST, ...BETWEEN].filter((version) => !hasVersion(version))).toEqual([]);
});
