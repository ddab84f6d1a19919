import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { ValueError, type DataConverter, type Payload, type PayloadCodec } from '@temporalio/common';
import protocol from '@temporalio/proto';
import type { EncryptionKey } from '../config/encryption-keys.ts';

const CIPHER = 'aes-256-gcm';
/** Sizes for GCM, in bytes: https://nvlpubs.nist.gov/nistpubs/legacy/sp/nistspecialpublication800-38d.pdf */
const NONCE = 12;
const TAG = 16;

/** The name that Temporal's own examples use, so that tools recognise it. */
const ENCODING = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';

const { Payload: PayloadMessage } = protocol.temporal.api.common.v1;

/**
 * Encrypts the inputs, results, heartbeats, signals and failures that Temporal keeps, with a key that Temporal lacks.
 *
 * A payload carries the id of its key, bound to its text, so that keys can be rotated while histories with old ones
 * are still read. Payloads that are not encrypted, from before there were keys, pass as they are.
 */
export class EncryptionCodec implements PayloadCodec {
  readonly #current: EncryptionKey;
  readonly #keys: ReadonlyMap<string, Buffer>;

  /** @param keys the first encrypts, all decrypt */
  constructor(keys: readonly [EncryptionKey, ...EncryptionKey[]]) {
    this.#current = keys[0];
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    const { id, key } = this.#current;
    return payloads.map((payload) => ({
      metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) },
      data: seal(key, id, PayloadMessage.encode(payload).finish()),
    }));
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => {
      if (textOf(payload.metadata?.['encoding']) !== ENCODING) return payload;
      const id = textOf(payload.metadata?.[KEY_ID]);
      const key = this.#keys.get(id);
      if (key === undefined) throw new ValueError(`This worker has no encryption key "${id}"`);
      return PayloadMessage.decode(open(key, id, payload.data ?? new Uint8Array()));
    });
  }
}

/** The module that puts messages and stack traces of failures into payloads; the workflow bundle needs it too. */
export const failureConverterPath = fileURLToPath(new URL('encoded-failures.cjs', import.meta.url));

/** Returns the data converter of workers and clients, which encrypts values and failures if there are keys. */
export function dataConverterOf([first, ...others]: readonly EncryptionKey[]): DataConverter {
  if (first === undefined) return {};
  return { payloadCodecs: [new EncryptionCodec([first, ...others])], failureConverterPath };
}

const textOf = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();

function seal(key: Buffer, id: string, text: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(id));
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Buffer, id: string, sealed: Uint8Array): Uint8Array {
  const bytes = Buffer.from(sealed);
  if (bytes.length < NONCE + TAG) throw new ValueError('An encrypted payload is cut off');
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE)).setAAD(Buffer.from(id));
  decipher.setAuthTag(bytes.subarray(-TAG));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]);
  } catch {
    throw new ValueError(
      `A payload was not encrypted with the key "${id}" that this worker has, or was changed`,
    );
  }
}
