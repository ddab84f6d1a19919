import { readFileSync, statSync } from 'node:fs';
import type { ConnectionParameters } from './connection-url.ts';

/** A file that others may read is not read, as in libpq: it may hold what they put there. */
const READABLE_BY_OTHERS = 0o077;

export interface Account {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password for an account in a password file: https://www.postgresql.org/docs/current/libpq-pgpass.html
 *
 * @throws {Error} when the file can be read by others; none where there is no file
 */
export function findPassword(file: string, { host, port, database, user }: Account): string | undefined {
  const text = readPrivate(file);
  const wanted = [host.startsWith('/') ? 'localhost' : host, String(port), database, user];
  for (const line of text?.split(/\r?\n/) ?? []) {
    if (line.startsWith('#')) continue;
    const fields = fieldsOf(line);
    if (wanted.every((value, index) => fields[index] === '*' || fields[index] === value)) return fields[4];
  }
  return undefined;
}

/** Between colons; a backslash takes what follows as it is. The password is the rest of the line up to a colon. */
function fieldsOf(line: string): string[] {
  return (line.match(/(?:\\.|[^:\\])+|(?<=:|^)(?=:|$)/g) ?? []).map((field) =>
    field.replaceAll(/\\(.)/g, '$1'),
  );
}

function readPrivate(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) return undefined;
  if (process.platform !== 'win32' && (found.mode & READABLE_BY_OTHERS) !== 0) {
    throw new Error(`the password file ${file} can be read by others: chmod 600 it`);
  }
  return readFileSync(file, 'utf8');
}

/**
 * What a service file says of a service: https://www.postgresql.org/docs/current/libpq-pgservice.html
 *
 * @returns undefined where the file, or the service in it, is not there
 */
export function findService(file: string, service: string): ConnectionParameters | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  let section: Record<string, string> | undefined;
  for (const line of readFileSync(file, 'utf8').split(/\r?\n/)) {
    const name = /^\s*\[(.*)\]\s*$/.exec(line)?.[1];
    if (name !== undefined && section !== undefined) break;
    if (name === service) section = {};
    const [, key, value] = /^\s*([a-z_]+)=(.*?)\s*$/.exec(line) ?? [];
    if (section !== undefined && key !== undefined && value !== undefined) section[key] = value;
  }
  return section;
}
