import { runWorker } from './runtime/run-worker.ts';

await runWorker(process.env);
