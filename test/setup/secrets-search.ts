import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';

/** The passwords of roles, servers and keys that the tests use. */
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

/** Leaves what is encrypted as it is: to list runs is to decode their memos. */
const asBytes: PayloadCodec = {
  encode: async (payloads) => payloads,
  decode: async (payloads) =>
    payloads.map((payload) =>
      Buffer.from(payload.metadata?.['encoding'] ?? []).toString() === 'binary/encrypted'
        ? { ...payload, metadata: { encoding: Buffer.from('binary/plain') } }
        : payload,
    ),
};

/** What of the whole suite may be searched, and for what. */
export interface SecretPlaces {
  readonly temporalAddress: string;
  /** The file that logs and errors of all tests go to. */
  readonly told: string;
  /** URLs of superusers, with their passwords. */
  readonly urls: readonly string[];
}

export const secretsOf = (urls: readonly string[]): string[] => [
  ...OF_TESTS,
  ...urls.map((url) => new URL(url).password),
];

/** The secrets that a text holds, as they are or in base64 of their own. */
export function secretsIn(text: string | Uint8Array, secrets: readonly string[]): string[] {
  const bytes = Buffer.from(text);
  return secrets.filter(
    (secret) =>
      bytes.includes(secret) || bytes.includes(Buffer.from(secret).toString('base64').replace(/=*$/, '')),
  );
}

/** Where the secrets of the tests are found: nowhere, as it should be. */
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
