import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { suggestion } from '../contract/parse-input.ts';
import { LONGEST_TIMEOUT } from '../contract/quantities.ts';
import { capacityOf, type ConnectionSettings, type TlsSettings } from '../postgres/connection-settings.ts';
import {
  EXPECTED_URL,
  parseConnectionUrl,
  requireFeasible,
  requireKnownService,
  UrlError,
  type ConnectionParameters,
} from './connection-url.ts';
import { databaseVariables, secretVariables, type DatabaseVariables } from './database-variables.ts';
import { findPassword, findService, type Account } from './libpq-files.ts';
import { secretNamed, type Secret } from './secrets.ts';
import { problemsOf, VariableError, type Variables } from './variables.ts';

/**
 * Reads the variables of one database.
 *
 * @param prefix `SOURCE`, `SOURCE_SHOP_EU`, `WAREHOUSE`
 * @param problems receives what is missing or wrong, by the name of its variable
 */
export function readDatabaseSettings(
  prefix: string,
  variables: Variables,
  activities: number,
  problems: string[],
): ConnectionSettings | undefined {
  try {
    const own = parse(prefix, variables, problems);
    requireKnown(prefix, variables, problems);
    const variable = `${prefix}_DATABASE_URL`;
    const url = secretNamed(variables, variable);
    const read = (): ConnectionParameters => parametersOf(required(url(), variable), variables);
    return own && settingsOf(read, own, new Context(prefix, variables), activities);
  } catch (error) {
    if (error instanceof UrlError) problems.push(`${prefix}_DATABASE_URL: ${error.message}`);
    else if (error instanceof VariableError) problems.push(error.message);
    else throw error;
    return undefined;
  }
}

function required(url: string | undefined, variable: string): string {
  if (url === undefined) throw new VariableError(`${variable}: is not set; ${EXPECTED_URL}`);
  return url;
}

/** Validates the variables of one database that are set; adds invalid ones to `problems` by their full names. */
function parse(prefix: string, variables: Variables, problems: string[]): DatabaseVariables | undefined {
  const names = Object.keys(databaseVariables.shape);
  const own = names.map((name) => [name, variables[`${prefix}_${name}`]]);
  const parsed = databaseVariables.safeParse(Object.fromEntries(own));
  if (parsed.success) return parsed.data;
  problems.push(...problemsOf(parsed.error, `${prefix}_`));
  return undefined;
}

/** Reports unknown variables, since a misspelt one would otherwise count as not set. */
function requireKnown(prefix: string, variables: Variables, problems: string[]): void {
  const known = [
    ...Object.keys(databaseVariables.shape),
    ...secretVariables.map((name) => `${name}_FILE`),
  ].map((name) => `${prefix}_${name}`);
  for (const name of Object.keys(variables)) {
    const isOurs = name.startsWith(`${prefix}_PG_`) && !/_DATABASE_URL(_FILE)?$|_PG_PG_/.test(name);
    if (isOurs && !known.includes(name)) {
      problems.push(`${name}: is not known${suggestion(name, known)}`);
    }
  }
}

/** Returns the parameters of a URL, which override those of the service that it or PGSERVICE names. */
function parametersOf(url: string, variables: Variables): ConnectionParameters {
  const said = parseConnectionUrl(url);
  const service = said['service'] ?? variables['PGSERVICE'];
  if (service === undefined) return said;
  const files = [
    variables['PGSERVICEFILE'] ?? join(homedir(), '.pg_service.conf'),
    ...(variables['PGSYSCONFDIR'] === undefined ? [] : [join(variables['PGSYSCONFDIR'], 'pg_service.conf')]),
  ];
  const found = files.map((file) => findService(file, service)).find((one) => one !== undefined);
  if (found === undefined) throw new UrlError(`no service file has the service "${service}"`);
  requireKnownService(service, found);
  return { ...found, ...said };
}

/** The environment, and the prefix of one database's variables in it. */
class Context {
  readonly prefix: string;
  readonly variables: Variables;

  constructor(prefix: string, variables: Variables) {
    this.prefix = prefix;
    this.variables = variables;
  }

  secret(name: (typeof secretVariables)[number]): Secret {
    return secretNamed(this.variables, `${this.prefix}_${name}`);
  }

  get passwordFile(): string {
    return this.variables['PGPASSFILE'] ?? join(homedir(), '.pgpass');
  }
}

/** As in libpq, 0 waits indefinitely. */
const connectSeconds = z.coerce
  .number()
  .int()
  .min(0)
  .max(LONGEST_TIMEOUT / 1000);

function settingsOf(
  read: () => ConnectionParameters,
  own: DatabaseVariables,
  context: Context,
  activities: number,
): ConnectionSettings {
  const said = read();
  requireFeasible(said);
  const { host = 'localhost', user, dbname: database = user } = said;
  const port = checked(z.coerce.number().int().min(1).max(65_535), said['port'] ?? '5432', 'port');
  const account = { host, port, user: user ?? '', database: database ?? '' };
  const timeout = said['connect_timeout'];
  return {
    host,
    port,
    database,
    user,
    password: passwordOf(read, account, context),
    tls: tlsOf(said, own, context),
    options: said['options'] ?? own.PG_OPTIONS,
    connectTimeout:
      timeout === undefined
        ? own.PG_CONNECT_TIMEOUT
        : checked(connectSeconds, timeout, 'connect_timeout') * 1000,
    pool: poolOf(own, activities),
  };
}

/** Sizes a pool so that every activity of the worker finds a session, unless it is configured smaller. */
function poolOf(
  { PG_POOL_SIZE: size, PG_POOL_MAX_OVERFLOW: overflow, PG_POOL_TIMEOUT: timeout }: DatabaseVariables,
  activities: number,
): ConnectionSettings['pool'] {
  return { size, maxOverflow: overflow ?? Math.max(0, activities - size), timeout };
}

function passwordOf(read: () => ConnectionParameters, account: Account, context: Context): Secret {
  const own = context.secret('PG_PASSWORD');
  return () => {
    const { password, passfile = context.passwordFile } = read();
    return password ?? own() ?? findPassword(passfile, account);
  };
}

function tlsOf(said: ConnectionParameters, own: DatabaseVariables, context: Context): TlsSettings {
  const { PG_SSLMODE: mode, PG_SSLNEGOTIATION: negotiation } = own;
  const shape = databaseVariables.shape;
  const [certificate, key] = [said['sslcert'] ?? own.PG_SSLCERT, said['sslkey'] ?? own.PG_SSLKEY];
  const rootCertificate = said['sslrootcert'] ?? own.PG_SSLROOTCERT;
  const revocations = said['sslcrl'] ?? own.PG_SSLCRL;
  const keyPassword = context.secret('PG_SSLPASSWORD');
  const tls: TlsSettings = {
    mode: checked(shape.PG_SSLMODE, said['sslmode'] ?? mode, 'sslmode'),
    negotiation: checked(shape.PG_SSLNEGOTIATION, said['sslnegotiation'] ?? negotiation, 'sslnegotiation'),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(rootCertificate !== undefined && { rootCertificate }),
    ...(revocations !== undefined && { revocations }),
    keyPassword: () => said['sslpassword'] ?? keyPassword(),
  };
  requireSense(tls, context.prefix);
  return tls;
}

/** Refuses combinations that libpq refuses too, because they would promise more than they do. */
function requireSense(
  { mode, negotiation, certificate, key, rootCertificate }: TlsSettings,
  prefix: string,
): void {
  const refuse = (message: string): never => {
    throw new VariableError(`${prefix}_PG_${message}`);
  };
  if (mode === 'disable') return;
  const weak = mode === 'allow' || mode === 'prefer';
  if (negotiation === 'direct' && weak) refuse(`SSLNEGOTIATION: "direct" needs sslmode "require" or above`);
  if (mode.startsWith('verify') && rootCertificate === undefined) {
    refuse(`SSLROOTCERT: sslmode "${mode}" needs the file of an authority, or "system"`);
  }
  if (rootCertificate === 'system' && mode !== 'verify-full') {
    refuse(
      'SSLROOTCERT: "system" needs sslmode "verify-full", since anybody has a certificate of some authority',
    );
  }
  if ((certificate === undefined) !== (key === undefined)) {
    refuse(
      `${certificate === undefined ? 'SSLCERT' : 'SSLKEY'}: a client certificate and its key must be set together`,
    );
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, name: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UrlError(`has an invalid ${name}`);
}

/** Caps `wanted` at the number of activities that can have a session of the warehouse and of a source at once. */
export function activitiesFor(
  wanted: number,
  warehouse: ConnectionSettings,
  sources: readonly ConnectionSettings[],
): number {
  const reading = sources.reduce((sum, { pool }) => sum + capacityOf(pool), 0);
  return Math.min(wanted, capacityOf(warehouse.pool), reading);
}
