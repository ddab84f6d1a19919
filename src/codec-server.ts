import { once } from 'node:events';
import { readCodecServer } from './config/codec-server.ts';
import { createCodecServer } from './runtime/codec-server.ts';
import { EncryptionCodec } from './runtime/encryption-codec.ts';
import { runProgram } from './runtime/run-program.ts';

/** `npm run codec-server`: lets the `temporal` command line and the Web UI read what the workers encrypt. */
async function main(): Promise<void> {
  const { keys, host, port, origin, token } = readCodecServer(process.env);
  const server = createCodecServer({ codec: new EncryptionCodec(keys), origin, token });
  server.listen(port, host);
  await once(server, 'listening');
  process.stderr.write(`codec server ready at http://${host}:${port}, for ${origin}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.close());
}

await runProgram(main);
