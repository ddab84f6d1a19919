import type { Lab } from './lab.ts';

/** Creates the server `here`, whose foreign tables are tables of the same database, for every role. */
export async function createForeignServer({ source, name }: Lab): Promise<void> {
  await source.query(`CREATE EXTENSION postgres_fdw;
    CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '${source.port}', dbname 'source_${name}');
    CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user '${source.user}', password '${source.password}');
    GRANT USAGE ON FOREIGN SERVER here TO extractor`);
}
