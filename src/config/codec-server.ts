import { z } from 'zod';
import { ENCRYPTION_KEYS, readEncryptionKeys, type EncryptionKey } from './encryption-keys.ts';
import { secretNamed } from './secrets.ts';
import {
  invalidEnvironment,
  problemsOf,
  VariableError,
  withoutEmpty,
  type Environment,
} from './variables.ts';

const expectedAddress = 'expected an address such as 127.0.0.1:8081';
const expectedOrigin = 'expected the address of a Web UI such as http://localhost:8233';

/** Variables of the codec server, which decrypts for people. */
export const codecServerVariables = z.object({
  DATAKIT_CODEC_ADDRESS: z
    .string()
    .regex(/^.+:\d{1,5}$/, expectedAddress)
    .default('127.0.0.1:8081')
    .describe('Where the codec server listens.'),
  DATAKIT_CODEC_ORIGIN: z
    .url({ protocol: /^https?$/, error: expectedOrigin })
    // as browsers send it: without a path
    .transform((url) => new URL(url).origin)
    .default('http://localhost:8233')
    .describe('The Web UI that may call it.'),
  DATAKIT_CODEC_TOKEN: z
    .string()
    .optional()
    .describe(
      'What callers must send as "Authorization: Bearer …"; required if other machines can reach it.',
    ),
});

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

export interface CodecServerConfiguration {
  readonly keys: readonly [EncryptionKey, ...EncryptionKey[]];
  readonly host: string;
  readonly port: number;
  readonly origin: string;
  readonly token: string | undefined;
}

/** @throws {DatakitError} InvalidInput, naming what is missing or wrong without revealing any value */
export function readCodecServer(environment: Environment): CodecServerConfiguration {
  const set = withoutEmpty(environment);
  const parsed = codecServerVariables.safeParse(set);
  if (!parsed.success) throw invalidEnvironment(problemsOf(parsed.error));
  const { DATAKIT_CODEC_ADDRESS: address, DATAKIT_CODEC_ORIGIN: origin } = parsed.data;
  const [host, port] = [address.slice(0, address.lastIndexOf(':')), Number(address.split(':').at(-1))];
  try {
    const token = secretNamed(set, 'DATAKIT_CODEC_TOKEN')();
    if (token === undefined && !LOOPBACK.has(host)) {
      throw new VariableError('DATAKIT_CODEC_TOKEN: is required if other machines can reach the server');
    }
    const [first, ...others] = readEncryptionKeys(set);
    if (first === undefined)
      throw new VariableError(`${ENCRYPTION_KEYS}: is not set; it has the keys of the workers`);
    return { keys: [first, ...others], host: host.replace(/^\[(.*)\]$/, '$1'), port, origin, token };
  } catch (error) {
    throw error instanceof VariableError ? invalidEnvironment([error.message]) : error;
  }
}
