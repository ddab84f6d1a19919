import { secretNamed } from './secrets.ts';
import { VariableError, type Variables } from './variables.ts';

export const ENCRYPTION_KEYS = 'DATAKIT_ENCRYPTION_KEYS';

/** Key length of AES-256. */
const KEY_BYTES = 32;

export interface EncryptionKey {
  readonly id: string;
  readonly key: Buffer;
}

/**
 * Reads the keys for payloads in Temporal: the first encrypts, all decrypt. To rotate, add a new key last until every
 * worker has it, then move it first; remove an old one once no history needs it.
 *
 * @returns no keys only if the variable is not set: with an empty file, a worker would store everything in the clear
 * @throws {VariableError} naming a duplicate key by its id, and a malformed one by its position
 */
export function readEncryptionKeys(variables: Variables): readonly EncryptionKey[] {
  const text = secretNamed(variables, ENCRYPTION_KEYS)();
  if (text === undefined) return [];
  const keys = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part, place) => parseKey(part.trim(), place + 1));
  if (keys.length === 0) throw new VariableError(`${ENCRYPTION_KEYS}: is set, and has no key`);
  const ids = keys.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new VariableError(`${ENCRYPTION_KEYS}: two keys are called "${twice}"`);
  return keys;
}

function parseKey(text: string, place: number): EncryptionKey {
  const [, id, encoded] = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/]+=*)$/.exec(text) ?? [];
  const key = Buffer.from(encoded ?? '', 'base64');
  if (id !== undefined && key.length === KEY_BYTES) return { id, key };
  throw new VariableError(
    `${ENCRYPTION_KEYS}: expected <key id>:<${KEY_BYTES} bytes in base64>, and part ${place} is not`,
  );
}
