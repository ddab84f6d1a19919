import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';

/** Passwords of roles, servers and keys that the tests use. */
const OF_TESTS = [
  'extractor-secret',
  'loader-secret',
  'reader-secret',
  'unencrypted-secret',
  'wrong-secret',
  'key-secret',
  'another-secret',
  'hunter2',
];

const History = temporal.api.history.v1.History;

/** Leaves encrypted payloads as they are: listing runs decodes their memos. */
const asBytes: PayloadCodec = {
  encode: async (payloads) => payloads,
  decode: async (payloads) =>
    payloads.map((payload) =>
      Buffer.from(payload.metadata?.['encoding'] ?? []).toString() === 'binary/encrypted'
        ? { ...payload, metadata: { encoding: Buffer.from('binary/plain') } }
        : payload,
    ),
};

/** The places of the whole suite to search, and the secrets. */
export interface SecretPlaces {
  readonly temporalAddress: string;
  /** The log file of all tests, including errors. */
  readonly told: string;
  /** URLs of superusers, with their passwords. */
  readonly urls: readonly string[];
}

export const secretsOf = (urls: readonly string[]): string[] => [
  ...OF_TESTS,
  ...urls.map((url) => new URL(url).password),
];

/** Returns the secrets that a text contains, as they are or base64-encoded. */
export function secretsIn(text: string | Uint8Array, secrets: readonly string[]): string[] {
  const bytes = Buffer.from(text);
  return secrets.filter(
    (secret) =>
      bytes.includes(secret) || bytes.includes(Buffer.from(secret).toString('base64').replace(/=*$/, '')),
  );
}

/** Returns the places where secrets of the tests are found, of which there should be none. */
export async function searchForSecrets({ temporalAddress, told, urls }: SecretPlaces): Promise<string[]> {
  const secrets = secretsOf(urls);
  const found: string[] = [];
  for (const [number, line] of readFileSync(told, 'utf8').split('\n').entries()) {
    for (const secret of secretsIn(line, secrets))
      found.push(`"${secret}" in line ${number + 1} of the logs: ${line}`);
  }
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    const { namespaces } = await connection.workflowService.listNamespaces({});
    for (const { namespaceInfo } of namespaces) {
      if (namespaceInfo?.name == null || namespaceInfo.name === 'temporal-system') continue;
      const namespace = namespaceInfo.name;
      const { workflow } = new Client({ connection, namespace, dataConverter: { payloadCodecs: [asBytes] } });
      for await (const { workflowId, history } of workflow.list().intoHistories({ concurrency: 5 })) {
        for (const secret of secretsIn(
          History.encode(history as temporal.api.history.v1.IHistory).finish(),
          secrets,
        )) {
          found.push(`"${secret}" in the history of ${workflowId}`);
        }
      }
    }
  } finally {
    await connection.close();
  }
  return found;
}
