// @module-tag long
import { describe } from 'vitest';
import { hasVersion } from '../../local/postgres-binaries.ts';
import { labOf } from './lab-of-version.ts';
import { valuesSuite } from './values-suite.ts';

/** Versions between the oldest and the newest, which are always tested. */
const BETWEEN = [15, 16, 17];

describe.each(BETWEEN)('from PostgreSQL %i to the newest', (version) => {
  describe.runIf(hasVersion(version))('installed', () => {
    valuesSuite(labOf('source', version));
  });
});
