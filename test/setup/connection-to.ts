import { readEnvironment } from '../../src/config/environment.ts';
import type { ConnectionSettings } from '../../src/postgres/connection-settings.ts';

/** Returns the settings of a source with this URL and these further variables. */
export function connectionTo(
  url: string,
  variables: Readonly<Record<string, string>> = {},
): ConnectionSettings {
  const { sources } = readEnvironment({
    SOURCE_DATABASE_URL: url,
    WAREHOUSE_DATABASE_URL: 'postgresql://nobody@localhost/nowhere',
    ...variables,
  });
  const source = sources.get('default');
  if (source === undefined) throw new Error('there is no source');
  return source;
}

/** Variables for a pool of this size. */
export const poolOf = (size: number): Record<string, string> => ({
  SOURCE_PG_POOL_SIZE: String(size),
  SOURCE_PG_POOL_MAX_OVERFLOW: '0',
});
