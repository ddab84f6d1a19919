import { fileURLToPath } from 'node:url';
import type { TemporalServer } from './temporal.ts';

export type TemporalEnvironment = Readonly<Record<string, string>> & {
  readonly TEMPORAL_ADDRESS: string;
  readonly TEMPORAL_NAMESPACE: string;
};

/** Returns the variables that point a worker to our own server, or else to the one our environment names. */
export function temporalEnvironment(own: TemporalServer | undefined): TemporalEnvironment {
  return own === undefined ? given() : leadingTo(own);
}

/** Our server needs no key or certificate, whatever the user's profile says: an empty profile replaces it. */
const EMPTY_PROFILE = fileURLToPath(new URL('./temporal-profile.toml', import.meta.url));

function leadingTo({ address, namespace }: TemporalServer): TemporalEnvironment {
  return { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, TEMPORAL_CONFIG_FILE: EMPTY_PROFILE };
}

function given(): TemporalEnvironment {
  const { TEMPORAL_ADDRESS = '', TEMPORAL_NAMESPACE = 'default' } = process.env;
  return { ...temporalVariables(process.env), TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE };
}

function temporalVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith('TEMPORAL_') && value !== undefined) variables[name] = value;
  }
  return variables;
}

/** Returns the environment for processes that must not follow variables meant for the user's own clients. */
export function withoutTemporal(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
