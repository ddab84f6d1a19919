import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inPublic, type Peer } from './peer.ts';

const PGCOPYDB = '0.10-1';
const PGLOADER = '3.6.9-1';

/** Neither creates nor truncates tables here: its `table-data` appends to the existing rows. */
const pgcopydb: Peer = {
  name: 'pgcopydb',
  about: '`TRUNCATE`, then `pgcopydb copy table-data --table-jobs 4`',
  prepare: async (cache) => {
    const programs = await cache.debian('pgcopydb', PGCOPYDB);
    return {
      version: PGCOPYDB,
      needsTables: true,
      target: inPublic,
      command: async ({ sourceUrl, warehouseUrl, tables, directory }) => {
        const filters = join(directory, 'filters.ini');
        await writeFile(
          filters,
          `[include-only-table]\n${tables.map(({ name }) => `public.${name}`).join('\n')}\n`,
        );
        const script = `psql "$WAREHOUSE" -qXc "TRUNCATE $TABLES" &&
          exec "$PROGRAM" copy table-data --source "$SOURCE" --target "$WAREHOUSE" --dir "$WORK" --table-jobs 4 --filters "$FILTERS"`;
        return {
          program: 'sh',
          args: ['-c', script],
          env: {
            PROGRAM: join(programs, 'pgcopydb'),
            SOURCE: sourceUrl,
            WAREHOUSE: warehouseUrl,
            TABLES: tables.map(({ name }) => inPublic(name)).join(', '),
            WORK: join(directory, 'work'),
            FILTERS: filters,
          },
        };
      },
    };
  },
};

const pgloader: Peer = {
  name: 'pgloader',
  // its default heap of 1 GB is exhausted by many tables, and by its read-ahead
  about:
    '`LOAD DATABASE … WITH include drop, create tables, create no indexes, prefetch rows = 10000`, `--dynamic-space-size 4096`',
  prepare: async (cache) => {
    const programs = await cache.debian('pgloader', PGLOADER);
    return {
      version: PGLOADER,
      target: inPublic,
      command: async ({ sourceUrl, warehouseUrl, tables, directory }) => {
        const file = join(directory, 'tables.load');
        const names = tables.map(({ name }) => `'${name}'`).join(', ');
        await writeFile(
          file,
          `LOAD DATABASE FROM ${sourceUrl} INTO ${warehouseUrl}
             WITH include drop, create tables, create no indexes, reset no sequences, prefetch rows = 10000
             INCLUDING ONLY TABLE NAMES MATCHING ${names} IN SCHEMA 'public';`,
        );
        return {
          program: join(programs, 'pgloader'),
          args: ['--dynamic-space-size', '4096', '--on-error-stop', file],
        };
      },
    };
  },
};

export const debianPeers: readonly Peer[] = [pgcopydb, pgloader];
