import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inPublic, type Command, type Job, type Peer } from './peer.ts';

/** The latest available versions when the peers were tried. */
const PYARROW = 'pyarrow==26.0.1';
const CONNECTORX = 'connectorx==0.4.6';
const SQLALCHEMY = 'sqlalchemy==2.1.9';
const PSYCOPG = 'psycopg2-binary==2.9.13';
const ADBC_DRIVER = ['adbc-driver-postgresql==1.13.0', 'adbc-driver-manager==1.13.0'];
const ADBC = [...ADBC_DRIVER, PYARROW];
const PANDAS = ['pandas==3.1.1', PSYCOPG, SQLALCHEMY];

interface Program {
  readonly name: string;
  readonly about: string;
  readonly requirements: readonly string[];
  /** File name of a program next to this module. */
  readonly file: string;
  readonly method?: string;
  readonly schema?: string;
  readonly increments?: boolean;
  readonly parts?: boolean;
}

/** One of our programs, using PyPI packages as documented. */
function program(described: Program): Peer {
  const { name, about, requirements, file, method = '', schema = 'public', ...modes } = described;
  return {
    name,
    about,
    ...modes,
    prepare: async (cache) => {
      const programs = await cache.python(file.replace('.py', ''), requirements);
      const path = join(import.meta.dirname, 'programs', file);
      return {
        version: requirements.join(', ').replaceAll('==', ' '),
        target: (table) => (schema === 'public' ? inPublic(table) : `${schema}."${table}"`),
        command: (job) => ({
          program: join(programs, 'python'),
          args: [path],
          env: { ...environment(job), METHOD: method },
        }),
      };
    },
  };
}

function environment({
  sourceUrl,
  warehouseUrl,
  tables,
  directory,
  increment,
  part,
}: Job): Record<string, string> {
  return {
    SOURCE: sourceUrl,
    WAREHOUSE: warehouseUrl,
    TABLES: tables.map(({ name }) => name).join(','),
    KEY: increment?.key ?? '',
    CURSOR: increment?.cursor ?? '',
    PART: part?.column ?? '',
    FROM: part?.from ?? '',
    TO: part?.to ?? '',
    WORK: directory,
    // some send telemetry at every start
    RUNTIME__DLTHUB_TELEMETRY: 'false',
    INGESTR_DISABLE_TELEMETRY: 'true',
    DISABLE_TELEMETRY: 'true',
    SLING_DISABLE_TELEMETRY: 'true',
    // the files that dlt keeps between its steps, also when used by ingestr: compressing them takes half of its time
    DATA_WRITER__DISABLE_COMPRESSION: 'true',
  };
}

const pandas = (method: string, about: string): Peer =>
  program({ name: `pandas: ${method}`, about, requirements: PANDAS, file: 'pandas_ways.py', method });

/** The methods of most scripts with pandas and psycopg2. */
export const pandasPeers: readonly Peer[] = [
  pandas('basic', '`read_sql` of all rows, `to_sql` with multi-row inserts'),
  pandas('chunked', '`read_sql` in chunks of 10,000 rows, `to_sql` for each'),
  pandas('copy', '`COPY TO` as CSV, a data frame, `COPY FROM` as CSV'),
  pandas('cursor', 'a server-side cursor, 10,000 rows at a time, `to_sql` for each batch'),
  pandas('parallel', 'four processes, each copies a range of keys in chunks'),
];

const sling: Peer = {
  name: 'sling',
  about: '`sling run`, mode `full-refresh`; `incremental` for increments',
  increments: true,
  prepare: async (cache) => {
    // later PyPI packages download their program from elsewhere
    const programs = await cache.python('sling', ['sling-linux-amd64==1.4.11']);
    const binary = join(
      programs,
      '../lib',
      await pythonFolder(programs),
      'site-packages/sling_linux_amd64/bin/sling-linux-amd64',
    );
    return {
      version: '1.4.11',
      target: inPublic,
      command: async (job) => {
        const file = join(job.directory, 'replication.yaml');
        const streams = job.tables.map(({ name }) => `  public.${name}:\n`).join('');
        const mode =
          job.increment === undefined
            ? 'mode: full-refresh'
            : `mode: incremental\n  primary_key: [${job.increment.key}]\n  update_key: ${job.increment.cursor}`;
        await writeFile(
          file,
          `source: SOURCE\ntarget: WAREHOUSE\ndefaults:\n  ${mode}\n  object: public.{stream_table}\nstreams:\n${streams}`,
        );
        const env = {
          ...environment(job),
          SOURCE: `${job.sourceUrl}?sslmode=disable`,
          WAREHOUSE: `${job.warehouseUrl}?sslmode=disable`,
          SLING_HOME_DIR: job.directory,
        };
        return { program: binary, args: ['run', '-r', file], env };
      },
    };
  },
};

const ingestr: Peer = {
  name: 'ingestr',
  about:
    '`ingestr ingest --sql-backend connectorx --loader-file-format csv`, uncompressed files; `--incremental-strategy merge` for increments, `--sql-backend pyarrow --incremental-strategy delete+insert` for a partition',
  increments: true,
  parts: true,
  prepare: async (cache) => {
    // later PyPI packages download their program from elsewhere
    const programs = await cache.python('ingestr', ['ingestr==0.14.155', CONNECTORX]);
    const script = `for table in $(echo "$TABLES" | tr , ' '); do
      "$PROGRAM" ingest --source-uri "$SOURCE" --source-table "public.$table" --dest-uri "$WAREHOUSE" --dest-table "ingestr.$table" \\
        $MODE --loader-file-format csv --progress log --yes --pipelines-dir "$WORK/pipelines" || exit
    done`;
    return {
      version: `0.14.155, ${CONNECTORX.replace('==', ' ')}`,
      target: (table) => `ingestr."${table}"`,
      command: (job): Command => ({
        program: 'sh',
        args: ['-c', script],
        env: { ...environment(job), PROGRAM: join(programs, 'ingestr'), MODE: modeOfIngestr(job) },
      }),
    };
  },
};

function modeOfIngestr({ increment, part }: Job): string {
  if (increment !== undefined) {
    return `--sql-backend connectorx --incremental-strategy merge --primary-key ${increment.key} --incremental-key ${increment.cursor}`;
  }
  if (part === undefined) return '--sql-backend connectorx';
  // ConnectorX gets no query with a day in it; the end of the interval is inclusive
  return `--sql-backend pyarrow --incremental-strategy delete+insert --incremental-key ${part.column} --interval-start ${part.from} --interval-end ${part.from}`;
}

/** dlt, with its fastest backend for reading. */
const dlt = (name: string, method: string, files: string, requirements: readonly string[]): Peer =>
  program({
    name,
    about: `\`sql_database\` with the ConnectorX backend, ${files}, uncompressed, \`replace\`; \`merge\` for increments and for a partition`,
    increments: true,
    parts: true,
    requirements: ['dlt[postgres]==1.31.0', CONNECTORX, PYARROW, SQLALCHEMY, PSYCOPG, ...requirements],
    file: 'dlt_copy.py',
    method,
    schema: 'dlt',
  });

async function pythonFolder(programs: string): Promise<string> {
  const { readdir } = await import('node:fs/promises');
  return (await readdir(join(programs, '../lib')))[0] ?? '';
}

export const pythonPeers: readonly Peer[] = [
  program({
    name: 'ADBC → ADBC',
    about: 'Arrow batches passed to `adbc_ingest`, mode `replace`',
    requirements: ADBC,
    file: 'adbc.py',
  }),
  program({
    name: 'DuckDB',
    about: "`CREATE OR REPLACE TABLE … AS FROM …` with DuckDB's extension for PostgreSQL",
    requirements: ['duckdb==1.5.5', 'duckdb-extension-postgres-scanner==1.5.5'],
    file: 'duckdb_postgres.py',
  }),
  program({
    name: 'ConnectorX → ADBC',
    about: '`read_sql` into Arrow, in four parts if there is a key; `adbc_ingest`',
    requirements: [CONNECTORX, ...ADBC],
    file: 'connectorx_adbc.py',
  }),
  sling,
  ingestr,
  dlt('dlt', 'csv', 'CSV files', []),
  dlt('dlt, parquet', 'parquet', 'Parquet files loaded by ADBC', ADBC_DRIVER),
];
