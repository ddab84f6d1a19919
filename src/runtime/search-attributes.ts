import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { searchAttributes } from '../contract/search-attributes.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;

const valueTypes = {
  KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  INT: IndexedValueType.INDEXED_VALUE_TYPE_INT,
} as const;

const wanted = Object.fromEntries(
  Object.entries(searchAttributes).map(([name, type]) => [name, valueTypes[type]]),
);

/** How long a "no" is remembered: somebody may add the attributes while the worker runs. */
const ASK_AGAIN_AFTER = 60_000;

/**
 * Returns a function that tells if a namespace knows all search attributes of this project, with the right types.
 * Setting one that it does not know would block a workflow forever.
 */
export function searchAttributesOf(connection: NativeConnection, namespace: string): () => Promise<boolean> {
  let known: Promise<boolean> | undefined;
  return async () => {
    known ??= asked(connection, namespace);
    const answer = await known;
    if (!answer) setTimeout(() => (known = undefined), ASK_AGAIN_AFTER).unref();
    return answer;
  };
}

/** Returns false if the worker may not ask, so that it goes on without search attributes. */
async function asked({ operatorService }: NativeConnection, namespace: string): Promise<boolean> {
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    return Object.entries(wanted).every(([name, type]) => customAttributes[name] === type);
  } catch {
    return false;
  }
}

/** Adds the search attributes that the namespace lacks; needs operator rights. */
export async function registerSearchAttributes(
  { operatorService }: NativeConnection,
  namespace: string,
): Promise<void> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = Object.entries(wanted).filter(([name]) => customAttributes[name] === undefined);
  if (missing.length === 0) return;
  await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
}
