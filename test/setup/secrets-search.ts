import type { DataConverter, Payload } from '@temporalio/common';
import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
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

/** A list of workflows reads their memos, which some tests encrypt with keys that are not known here. */
const dataConverter: DataConverter = {
  payloadCodecs: [
    {
      encode: async (payloads) => payloads,
      decode: async (payloads) => payloads.map((payload) => (isEncrypted(payload) ? NOTHING : payload)),
    },
  ],
};

const isEncrypted = ({ metadata }: Payload): boolean =>
  Buffer.from(metadata?.['encoding'] ?? '').toString() === 'binary/encrypted';

const NOTHING: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from('null'),
};

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
      const { workflow } = new Client({ connection, namespace: namespaceInfo.name, dataConverter });
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
