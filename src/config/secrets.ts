import { readFileSync } from 'node:fs';
import { VariableError, type Variables } from './variables.ts';

/** A secret from the environment, or from a file that it names; read anew on each call, since files change. */
export type Secret = () => string | undefined;

/**
 * Returns a reader of `NAME`, or of the first line of the file that `NAME_FILE` names.
 *
 * @throws {VariableError} if both are set or the file cannot be read
 */
export function secretNamed(variables: Variables, name: string): Secret {
  const file = variables[`${name}_FILE`];
  if (file === undefined) return () => variables[name];
  if (variables[name] !== undefined) throw new VariableError(`${name}: is set, and ${name}_FILE too`);
  const read = (): string => firstLineOf(file, `${name}_FILE`);
  read();
  return read;
}

/** Reads only the first line, since secret files end in a newline that is not part of the secret. */
function firstLineOf(file: string, variable: string): string {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new VariableError(`${variable}: the file cannot be read (${code})`);
  }
}
