/** Starts a server, prints where it is, and stays until a signal. */
import { closeOnSignals } from '../../../local/close-on-signals.ts';
import { startPostgres } from '../../../local/postgres.ts';

const server = await startPostgres();
closeOnSignals({ close: () => server.dispose() });
console.log(JSON.stringify({ pid: server.pid, dataDirectory: server.dataDirectory }));
