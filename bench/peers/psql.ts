import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { columnList, inPublic, type Command, type Job, type Peer } from './peer.ts';

const run = promisify(execFile);

async function psqlVersion(): Promise<string> {
  try {
    return (await run('psql', ['--version'])).stdout.trim();
  } catch {
    throw new Error('there is no psql on the PATH');
  }
}

/** Copies tables one after another through a shell pipe. */
const pipe = (format: string): string => `set -o pipefail
for table in "$@"; do
  psql "$SOURCE" -qXc "COPY (SELECT * FROM public.\\"$table\\") TO STDOUT (FORMAT ${format})" |
    psql "$WAREHOUSE" -1qX -v ON_ERROR_STOP=1 -c "TRUNCATE public.\\"$table\\"" -c "COPY public.\\"$table\\" FROM STDIN (FORMAT ${format})" || exit
done`;

function psqlPipe(format: 'binary' | 'text'): Peer {
  return {
    name: `psql | psql, ${format}`,
    about: `\`COPY TO\` piped into \`TRUNCATE\` and \`COPY FROM\` in one transaction, ${format} format`,
    prepare: async () => ({
      version: await psqlVersion(),
      needsTables: true,
      target: inPublic,
      command: ({ sourceUrl, warehouseUrl, tables }) => ({
        program: 'bash',
        args: ['-c', pipe(format), 'bash', ...tables.map(({ name }) => name)],
        env: { SOURCE: sourceUrl, WAREHOUSE: warehouseUrl },
      }),
    }),
  };
}

/** Copies from server to server: the warehouse queries the source. */
function withinTheWarehouse(name: string, about: string, statements: (job: Job) => string[]): Peer {
  return {
    name,
    about,
    prepare: async () => ({
      version: `of the server; ${await psqlVersion()}`,
      needsTables: true,
      target: inPublic,
      command: (job): Command => ({
        program: 'psql',
        args: [
          job.warehouseUrl,
          '-qX',
          '-v',
          'ON_ERROR_STOP=1',
          ...statements(job).flatMap((statement) => ['-c', statement]),
        ],
        env: { PGOPTIONS: '-c client_min_messages=warning' },
      }),
    }),
  };
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function foreignTables({ sourceUrl, tables }: Job): string[] {
  const { hostname, port, pathname, username, password } = new URL(sourceUrl);
  const each = tables.flatMap((table) => [
    `CREATE FOREIGN TABLE far."${table.name}" (${columnList(table)}) SERVER source OPTIONS (schema_name 'public', table_name ${literal(table.name)})`,
    `BEGIN; TRUNCATE ${inPublic(table.name)}; INSERT INTO ${inPublic(table.name)} SELECT * FROM far."${table.name}"; COMMIT`,
  ]);
  return [
    'CREATE EXTENSION IF NOT EXISTS postgres_fdw; DROP SERVER IF EXISTS source CASCADE; CREATE SCHEMA IF NOT EXISTS far',
    `CREATE SERVER source FOREIGN DATA WRAPPER postgres_fdw
       OPTIONS (host ${literal(hostname)}, port ${literal(port)}, dbname ${literal(pathname.slice(1))}, fetch_size '10000')`,
    `CREATE USER MAPPING FOR CURRENT_USER SERVER source OPTIONS (user ${literal(username)}, password ${literal(password)})`,
    ...each,
  ];
}

function dblinks({ sourceUrl, tables }: Job): string[] {
  const each = tables.map(
    (table) => `BEGIN; TRUNCATE ${inPublic(table.name)};
      INSERT INTO ${inPublic(table.name)}
      SELECT * FROM dblink(${literal(sourceUrl)}, ${literal(`SELECT * FROM ${inPublic(table.name)}`)}) AS t(${columnList(table)}); COMMIT`,
  );
  return ['CREATE EXTENSION IF NOT EXISTS dblink', ...each];
}

export const psqlPeers: readonly Peer[] = [
  psqlPipe('binary'),
  psqlPipe('text'),
  withinTheWarehouse(
    'postgres_fdw',
    '`INSERT … SELECT` from a foreign table, `fetch_size` 10,000',
    foreignTables,
  ),
  withinTheWarehouse('dblink', '`INSERT … SELECT` from `dblink`', dblinks),
];
