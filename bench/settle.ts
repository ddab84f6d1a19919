import type { LocalStack } from '../local/stack.ts';
import { execute } from './execute.ts';

/** What the last copy left to be written must not burden the next. */
export async function settle({
  sourceUrl,
  warehouseUrl,
}: Pick<LocalStack, 'sourceUrl' | 'warehouseUrl'>): Promise<void> {
  for (const url of [sourceUrl, warehouseUrl]) await execute(url, 'CHECKPOINT');
}
