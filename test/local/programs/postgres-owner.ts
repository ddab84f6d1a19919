/** Starts a server, prints where it is, and stays until it is killed. */
import { startPostgres } from '../../../local/postgres.ts';

const { pid, dataDirectory } = await startPostgres();
console.log(JSON.stringify({ pid, dataDirectory }));
