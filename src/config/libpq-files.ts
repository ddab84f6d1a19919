import { readFileSync, statSync } from 'node:fs';
import type { ConnectionParameters } from './connection-url.ts';

/** As in libpq, a password file that others have access to is not read: it may hold what they put there. */
const READABLE_BY_OTHERS = 0o077;

/** Where libpq looks for a Unix socket by default, as its packages are built; the password is then that of localhost. */
const DEFAULT_SOCKETS = new Set(['/tmp', '/var/run/postgresql', '/run/postgresql']);

export interface Account {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * Finds the password of an account in a password file: https://www.postgresql.org/docs/current/libpq-pgpass.html
 *
 * @throws {Error} if others have access to the file; a missing file is no error
 */
export function findPassword(file: string, { host, port, database, user }: Account): string | undefined {
  const text = readPrivate(file);
  const wanted = [DEFAULT_SOCKETS.has(host) ? 'localhost' : host, String(port), database, user];
  for (const line of text?.split(/\r?\n/) ?? []) {
    if (line.startsWith('#')) continue;
    const fields = fieldsOf(line);
    if (wanted.every((value, index) => fields[index] === '*' || fields[index] === value)) return fields[4];
  }
  return undefined;
}

/** Splits a line at colons; a backslash escapes the next character. The password ends at the next colon, if any. */
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
 * Reads a service from a service file: https://www.postgresql.org/docs/current/libpq-pgservice.html
 *
 * @returns undefined if the file does not exist or lacks the service
 */
export function findService(file: string, service: string): ConnectionParameters | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  let section: Record<string, string> | undefined;
  for (const line of readFileSync(file, 'utf8').split(/\r?\n/)) {
    const name = /^\s*\[(.*)\]\s*$/.exec(line)?.[1];
    if (name !== undefined && section !== undefined) break;
    if (name === service) section = {};
    const [, key, value] = /^\s*([^#=\s][^=]*)=(.*?)\s*$/.exec(line) ?? [];
    if (section !== undefined && key !== undefined && value !== undefined) section[key] = value;
  }
  return section;
}
