import { DatabaseError } from 'pg';
import { describe, expect, test } from 'vitest';
import { DatakitError, type FailureKind } from '../../src/contract/failures.ts';
import { addressOf } from '../../src/postgres/connection-settings.ts';
import { dependentsOf, isGone, serverFailure, sqlStateOf } from '../../src/postgres/server-failure.ts';

/** Returns an error as node-postgres creates it from a server's response. */
function answered(code: string, message: string, fields: Partial<DatabaseError> = {}): DatabaseError {
  return Object.assign(new DatabaseError(message, message.length, 'error'), { code, ...fields });
}

const failed = (message: string, code?: string, syscall?: string): Error =>
  Object.assign(new Error(message), code !== undefined && { code }, syscall !== undefined && { syscall });

describe('what a server answered', () => {
  test('is told with its place, its words and its SQLSTATE', () => {
    const failure = serverFailure(answered('42P01', 'relation "x" does not exist'), 'warehouse');
    expect(failure.message).toBe('warehouse: relation "x" does not exist (SQLSTATE 42P01)');
    expect(failure.kind).toBe('UndefinedObject');
    expect(sqlStateOf(failure)).toBe('42P01');
  });

  test.each<[string, string, FailureKind]>([
    ['40P01', 'CheckRecoveryConflictDeadlock', 'SerializationFailure'],
    ['40P01', 'DeadLockReport', 'Deadlock'],
    ['40001', 'ProcessRecoveryConflictInterrupt', 'SerializationFailure'],
    ['57014', 'ProcessInterrupts', 'StatementCancelled'],
  ])('%s of %s is %s', (code, routine, kind) => {
    expect(serverFailure(answered(code, 'es ging nicht', { routine }), 'source').kind).toBe(kind);
  });

  test.each<[string, FailureKind]>([
    ['temporary file size exceeds "temp_file_limit" (64kB)', 'OutOfMemory'],
    ['number of requested standby connections exceeds "max_wal_senders"', 'TooManyConnections'],
  ])('53400, "%s" is %s', (message, kind) => {
    expect(serverFailure(answered('53400', message), 'source').kind).toBe(kind);
  });

  test('of a source that is read-only has another advice than of the warehouse', () => {
    const readOnly = answered('25006', 'cannot execute ALTER PUBLICATION in a read-only transaction');
    expect(serverFailure(readOnly, 'source "default"').advice).toMatch(/URL of the source at the primary/);
    expect(serverFailure(readOnly, 'warehouse').advice).toBeUndefined();
  });

  test('of a lock table that is full names the setting, since its message is about memory', () => {
    const fields = { hint: 'You might need to increase "max_locks_per_transaction".' };
    const { kind, advice } = serverFailure(answered('53200', 'out of shared memory', fields), 'source');
    expect({ kind, advice }).toEqual({
      kind: 'OutOfMemory',
      advice: expect.stringContaining('Raise max_locks_per_transaction of that server') as string,
    });
    expect(serverFailure(answered('53200', 'out of memory'), 'source').advice).toBeUndefined();
  });

  test.each<[string, FailureKind]>([
    ['check_enable_rls', 'RowsHidden'],
    ['aclcheck_error', 'InsufficientPrivilege'],
  ])('42501 of %s is %s', (routine, kind) => {
    expect(serverFailure(answered('42501', 'refused', { routine }), 'source').kind).toBe(kind);
  });

  test.each<[string, string, FailureKind]>([
    ['08001', 'connection.c', 'ForeignServerFailed'],
    ['57P01', 'dblink.c', 'ForeignServerFailed'],
    ['08001', 'libpqwalreceiver.c', 'ConnectionLost'],
    ['40001', 'connection.c', 'SerializationFailure'],
  ])('%s of %s is %s', (code, file, kind) => {
    expect(serverFailure(answered(code, 'could not connect to server "far"', { file }), 'source').kind).toBe(
      kind,
    );
  });

  test.each<[string, string, string | undefined]>([
    ['2BP01', 'dependency.c', 'vista v depende de columna n; vista w depende de columna n'],
    ['0A000', 'tablecmds.c', 'vista v depende de columna n; vista w depende de columna n'],
    ['0A000', 'execExpr.c', undefined],
    ['22001', 'varchar.c', undefined],
  ])('tells in any language what depends on an object: %s of %s', (code, file, dependents) => {
    const fields = { file, detail: 'vista v depende de columna n\nvista w depende de columna n' };
    expect(dependentsOf(answered(code, 'no se puede', fields))).toBe(dependents);
  });

  test('is that something is gone where a statement of ours names it, and not where a value does', () => {
    expect(isGone(answered('42P01', 'x', { file: 'parse_relation.c', position: '15' }))).toBe(true);
    expect(isGone(answered('42P01', 'x', { file: 'namespace.c' }))).toBe(false);
    expect(isGone(answered('42601', 'x', { file: 'scan.l', position: '15' }))).toBe(false);
  });

  test('stays what it was when it passes a second time', () => {
    const first = new DatakitError('LockTimeout', 'in use');
    expect(serverFailure(first, 'elsewhere')).toBe(first);
  });
});

describe('no value of a row is told', () => {
  const secret = 'hunter2';

  test.each([
    ['22P02', `invalid input syntax for type integer: "${secret}"`],
    ['22001', `value "${secret}" too long`],
    ['22021', `invalid byte sequence for encoding "UTF8": ${secret}`],
    ['23505', `duplicate key value ${secret}`],
    ['23514', `new row violates ${secret}`],
    ['P0001', `the order of ${secret} is odd`],
    ['P0003', secret],
    ['38000', secret],
    ['39000', secret],
  ])('%s', (code, message) => {
    const fields = {
      detail: `Failing row contains (${secret}).`,
      hint: secret,
      where: `COPY plan_1, line 1: "${secret}"`,
    };
    const failure = serverFailure(answered(code, message, fields), 'source "default"');
    expect(failure.message).not.toContain(secret);
    expect(failure.message).toContain(code);
    expect(failure.kind).toBe(code === '22021' ? 'InvalidEncoding' : 'InvalidValue');
  });

  test.each([
    ['a function that raises', 'exec_stmt_raise', 'a function raised an error'],
    ['a foreign table', 'pgfdw_report_error', 'the server of a foreign table answered with an error'],
    ['dblink', 'dblink_res_error', 'a server that dblink asked answered with an error'],
  ])('not by %s with any SQLSTATE', (_, routine, words) => {
    for (const [code, kind] of [
      ['42501', 'InsufficientPrivilege'],
      ['55000', 'Unexpected'],
    ] as const) {
      const passedOn = answered(code, `${secret} may not be read`, {
        routine,
        file: 'connection.c',
        where: 'x',
      });
      const failure = serverFailure(passedOn, 'source');
      expect(failure.message).toBe(`source: ${words} (SQLSTATE ${code})`);
      expect(failure.kind).toBe(kind);
    }
  });

  test.each([
    ['42601', 'tsquery.c'],
    ['54000', 'tsquery.c'],
    ['0A000', 'namespace.c'],
    ['42P01', 'namespace.c'],
    ['42704', 'guc.c'],
    ['3F000', 'namespace.c'],
    ['3D000', 'dbcommands.c'],
    ['42601', 'hstore_io.c'],
  ])('not by %s from %s, which quotes a text that was evaluated', (code, file) => {
    const failure = serverFailure(answered(code, `"${secret}" is odd`, { file }), 'source');
    expect(failure.message).toBe(
      `source: a text was not accepted as a name or in its syntax (SQLSTATE ${code})`,
    );
    expect(failure.kind).toBe('InvalidValue');
  });

  test('not by a statement that a function put together', () => {
    const fields = { file: 'tablecmds.c', internalQuery: `ALTER TABLE ${secret}`, internalPosition: '1' };
    expect(serverFailure(answered('42703', secret, fields), 'warehouse').message).not.toContain(secret);
  });

  test('not by a place in a text that is none of ours', () => {
    const fields = { file: 'scan.l', position: '3', where: `invalid type name "${secret}"` };
    expect(serverFailure(answered('42601', secret, fields), 'source').message).not.toContain(secret);
  });

  test.each<[string, Partial<DatabaseError>]>([
    ['42501', { file: 'rls.c' }],
    ['42P01', { file: 'parse_relation.c', position: '15' }],
    ['42501', { file: 'aclchk.c' }],
    ['42501', { file: 'inv_api.c' }],
    ['42704', { file: 'slot.c' }],
    ['42704', { file: 'guc.c', severity: 'FATAL' }],
    ['54000', { file: 'nbtutils.c' }],
    ['0A000', { file: 'tablecmds.c' }],
    ['3D000', {}],
  ])('but the names in a statement of ours are: %s %o', (code, fields) => {
    expect(serverFailure(answered(code, '"orders" is odd', fields), 'source').message).toContain('"orders"');
  });

  test('and what depends on an object is, but not what a function says does', () => {
    const detail = 'view "odd" depends on table "orders"\nview "even" depends on table "orders"';
    expect(dependentsOf(answered('2BP01', 'x', { detail }))).toBe(detail.replace('\n', '; '));
    expect(dependentsOf(answered('P0001', 'x', { detail: `"${secret}" depends on it` }))).toBeUndefined();
  });

  test('but the column is', () => {
    const where = `COPY plan_12, line 7, column birthday: "${secret}"`;
    const failure = serverFailure(answered('22007', 'x', { where }), 'warehouse');
    expect(failure.message).toBe('warehouse: a value does not fit, in column "birthday" (SQLSTATE 22007)');
  });

  test('nor what a row has that looks like a column', () => {
    const where = `COPY plan_12, line 7: "x, column ${secret}: y"`;
    expect(serverFailure(answered('22P04', 'x', { where }), 'warehouse').message).not.toContain(secret);
  });

  test('nor does it hide in the name of a column that has a colon', () => {
    const where = `COPY plan_12, line 7, column odd: name: "${secret}"`;
    expect(serverFailure(answered('22P04', 'x', { where }), 'warehouse').message).not.toContain(secret);
  });
});

describe('what the way to a server answered', () => {
  test.each<[Error, FailureKind, string]>([
    [
      failed('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED'),
      'Unreachable',
      'cannot be reached (ECONNREFUSED)',
    ],
    [failed('getaddrinfo ENOTFOUND db', 'ENOTFOUND'), 'Unreachable', 'cannot be reached (ENOTFOUND)'],
    [failed('getaddrinfo EAI_FAIL db', 'EAI_FAIL'), 'Unreachable', 'cannot be reached (EAI_FAIL)'],
    [failed('connect EADDRNOTAVAIL', 'EADDRNOTAVAIL'), 'Unreachable', 'cannot be reached (EADDRNOTAVAIL)'],
    [
      failed('connect ENOENT /run/.s.PGSQL.5432', 'ENOENT', 'connect'),
      'Unreachable',
      'cannot be reached (ENOENT)',
    ],
    [failed('ENOENT: no such file', 'ENOENT', 'open'), 'Unexpected', 'no such file'],
    [failed('Connection terminated due to connection timeout'), 'Unreachable', 'cannot be reached (timeout)'],
    [failed('read ECONNRESET', 'ECONNRESET'), 'ConnectionLost', 'the connection was lost'],
    [failed('Connection terminated unexpectedly'), 'ConnectionLost', 'the connection was lost'],
    [failed('Client has encountered a connection error and is not queryable'), 'ConnectionLost', 'lost'],
    [failed('timeout expired'), 'Unreachable', 'cannot be reached (timeout)'],
    [failed('Query read timeout'), 'Unreachable', 'cannot be reached (timeout)'],
    [failed('certificate has expired', 'CERT_HAS_EXPIRED'), 'TlsFailed', 'certificate has expired'],
    [failed('The server does not support SSL connections'), 'TlsFailed', 'does not support SSL'],
    [
      failed('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'),
      'AuthenticationFailed',
      'password',
    ],
    [failed('something else'), 'Unexpected', 'something else'],
  ])('%s is %s', (error, kind, words) => {
    const failure = serverFailure(error, 'warehouse');
    expect(failure.kind).toBe(kind);
    expect(failure.message).toContain(`warehouse: `);
    expect(failure.message).toContain(words);
  });

  test.each([
    [{ host: 'db.example.com', port: 5433 }, 'db.example.com:5433'],
    [{ host: '::1', port: 5432 }, '[::1]:5432'],
    [{ host: '/run/postgresql', port: 5432 }, '/run/postgresql/.s.PGSQL.5432'],
  ])('a server that cannot be reached is named: %j', (settings, shown) => {
    const error = failed('getaddrinfo ENOTFOUND', 'ENOTFOUND');
    expect(serverFailure(error, 'warehouse', addressOf(settings)).message).toBe(
      `warehouse: the server at ${shown} cannot be reached (ENOTFOUND)`,
    );
  });

  test('what is thrown and no error has words, too', () => {
    expect(serverFailure('odd', 'warehouse')).toMatchObject({
      kind: 'Unexpected',
      message: 'warehouse: odd',
    });
  });
});
