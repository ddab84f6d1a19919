import { describe, expect, test } from 'vitest';
import {
  failurePolicies,
  isFinal,
  kindOfSqlState,
  withAdvice,
  type FailureKind,
} from '../../src/contract/failures.ts';

const kinds = Object.keys(failurePolicies) as FailureKind[];

describe('a SQLSTATE finds its kind', () => {
  test.each<[string, string, FailureKind]>([
    ['08006', 'connection_failure', 'ConnectionLost'],
    ['08P01', 'protocol_violation', 'ConnectionLost'],
    ['0A000', 'feature_not_supported', 'UnsupportedServer'],
    ['22P02', 'invalid_text_representation', 'InvalidValue'],
    ['22012', 'division_by_zero', 'InvalidValue'],
    ['22021', 'character_not_in_repertoire', 'InvalidEncoding'],
    ['22P05', 'untranslatable_character', 'InvalidEncoding'],
    ['22023', 'invalid_parameter_value', 'InvalidStatement'],
    ['23505', 'unique_violation', 'InvalidValue'],
    ['25006', 'read_only_sql_transaction', 'ReadOnlyServer'],
    ['25P03', 'idle_in_transaction_session_timeout', 'ConnectionLost'],
    ['25P04', 'transaction_timeout', 'StatementTimeout'],
    ['28000', 'invalid_authorization_specification', 'AuthenticationFailed'],
    ['28P01', 'invalid_password', 'AuthenticationFailed'],
    ['38001', 'containing_sql_not_permitted', 'InvalidValue'],
    ['39000', 'external_routine_invocation_exception', 'InvalidValue'],
    ['3D000', 'invalid_catalog_name', 'UndefinedDatabase'],
    ['3F000', 'invalid_schema_name', 'UndefinedObject'],
    ['40001', 'serialization_failure', 'SerializationFailure'],
    ['40P01', 'deadlock_detected', 'Deadlock'],
    ['42501', 'insufficient_privilege', 'InsufficientPrivilege'],
    ['42601', 'syntax_error', 'InvalidStatement'],
    ['42703', 'undefined_column', 'UndefinedObject'],
    ['42P01', 'undefined_table', 'UndefinedObject'],
    ['42883', 'undefined_function', 'InvalidStatement'],
    ['53100', 'disk_full', 'DiskFull'],
    ['53200', 'out_of_memory', 'OutOfMemory'],
    ['53300', 'too_many_connections', 'TooManyConnections'],
    ['53400', 'configuration_limit_exceeded', 'TooManyConnections'],
    ['54011', 'too_many_columns', 'UnsupportedTable'],
    ['54001', 'statement_too_complex', 'InvalidStatement'],
    ['55P03', 'lock_not_available', 'LockTimeout'],
    ['57014', 'query_canceled', 'StatementCancelled'],
    ['57P01', 'admin_shutdown', 'ConnectionLost'],
    ['57P02', 'crash_shutdown', 'ConnectionLost'],
    ['57P03', 'cannot_connect_now', 'ConnectionLost'],
    ['57P04', 'database_dropped', 'UndefinedDatabase'],
    ['57P05', 'idle_session_timeout', 'ConnectionLost'],
    ['58030', 'io_error', 'DiskFull'],
    ['P0001', 'raise_exception', 'InvalidValue'],
    ['XX000', 'internal_error', 'Unexpected'],
    ['ZZ999', 'nothing that PostgreSQL knows', 'Unexpected'],
  ])('%s (%s) is %s', (sqlState, _name, kind) => {
    expect(kindOfSqlState(sqlState)).toBe(kind);
  });
});

describe('what is retried', () => {
  test.each<FailureKind>([
    'InvalidInput',
    'InvalidExpression',
    'UnknownSource',
    'UndefinedObject',
    'UnsupportedTable',
    'InsufficientPrivilege',
    'AuthenticationFailed',
    'UndefinedDatabase',
    'TargetConflict',
    'SchemaConflict',
    'ReadOnlyServer',
    'InvalidStatement',
    'InvalidValue',
  ])('%s is final at once: trying again cannot mend it', (kind) => {
    expect(isFinal(kind, 1)).toBe(true);
  });

  test.each<FailureKind>([
    'Unreachable',
    'ConnectionLost',
    'TooManyConnections',
    'PoolExhausted',
    'Deadlock',
    'LockTimeout',
    'DiskFull',
  ])('%s is tried again, and not for ever', (kind) => {
    expect(isFinal(kind, 1)).toBe(false);
    expect(isFinal(kind, 45)).toBe(true);
  });

  test('a warehouse that takes no writes any more is waited for by a run that has written there', () => {
    expect(isFinal('ReadOnlyServer', 1, true)).toBe(false);
    expect(isFinal('ReadOnlyServer', 45, true)).toBe(true);
    expect(isFinal('InvalidInput', 1, true)).toBe(true);
  });

  test('the attempt that the policy names is the last one', () => {
    expect(failurePolicies.DiskFull.retry).toBe(5);
    expect(isFinal('DiskFull', 4)).toBe(false);
    expect(isFinal('DiskFull', 5)).toBe(true);
  });

  test('an end is set for every kind', () => {
    expect(kinds.filter((kind) => !isFinal(kind, 100))).toEqual([]);
  });
});

describe('advice', () => {
  test.each(kinds)('%s has a sentence of it', (kind) => {
    expect(failurePolicies[kind].advice).toMatch(/^[A-Z].{20,}\.$/);
  });

  test('follows what happened, as a sentence of its own', () => {
    const { advice } = failurePolicies.DiskFull;
    expect(withAdvice('DiskFull', 'The disk is full')).toBe(`The disk is full. ${advice} (DiskFull)`);
    expect(withAdvice('DiskFull', 'Is it full?')).toBe(`Is it full? ${advice} (DiskFull)`);
  });
});
