import { runProgram } from './runtime/run-program.ts';
import { runWorker } from './runtime/run-worker.ts';

await runProgram(async () => runWorker(process.env));
