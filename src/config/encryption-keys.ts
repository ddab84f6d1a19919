import { secretNamed, VariableError, type Variables } from './secrets.ts';

export const ENCRYPTION_KEYS = 'DATAKIT_ENCRYPTION_KEYS';

/** Of AES-256. */
const KEY_BYTES = 32;

export interface EncryptionKey {
  readonly id: string;
  readonly key: Buffer;
}

/**
 * The keys for what Temporal keeps: the first encrypts, all decrypt. A new key comes last until every worker has it,
 * then first; an old one goes when no history needs it any more.
 *
 * @throws {VariableError} naming the key that is none by its id, or by its place
 */
export function readEncryptionKeys(variables: Variables): readonly EncryptionKey[] {
  const text = secretNamed(variables, ENCRYPTION_KEYS)() ?? '';
  const keys = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part, place) => parseKey(part.trim(), place + 1));
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
