/** Names of variables that lead workers and clients to databases of the user, or say how they work with these. */
const SETTINGS = /^(SOURCE_|WAREHOUSE_|DATAKIT_|OTEL_|PG)/;

/**
 * Removes settings that are meant for databases and workers of the user: the demo has its own, which are not encrypted,
 * and its client could not read what its worker encrypts.
 */
export function forgetSettings(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(environment)) if (SETTINGS.test(name)) delete environment[name];
}
