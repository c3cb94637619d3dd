import {
  ConnectionException,
  DeadlockException,
  DriverException,
  LockWaitTimeoutException,
  UniqueConstraintViolationException,
} from '@mikro-orm/core';
import { MySqlPlatform } from '@mikro-orm/mysql';
import { causes, classify, isDuplicateKey, isOneRowsFault } from '../lib/failures';
import { redact } from '../lib/redact';
import { CAPTURED } from './failures/captured';

const coded = (facts: object, message = 'the server said so') => Object.assign(new Error(message), facts);

describe('failures of statements', () => {
  const BY_CODE: [string, unknown[]][] = [
    [
      'rolled-back',
      ['40001', '40P01', '55P03', 'ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'SQLITE_BUSY', 'SQLITE_LOCKED'],
    ],
    ['not-sent', ['ECONNREFUSED', '57P03', 'ER_CON_COUNT_ERROR', 'ER_CONNECTION_TIMEOUT']],
    ['in-doubt', ['ECONNRESET', 'EPIPE', '57P01', '08006', 'PROTOCOL_CONNECTION_LOST', 'ER_CONNECTION_KILLED']],
    ['final', ['23505', 'ER_DUP_ENTRY', 'SQLITE_CONSTRAINT', '42P01', 'ER_NO_SUCH_TABLE', undefined]],
  ];

  it.each(BY_CODE)('are %s by their codes', (failure, codes) => {
    for (const code of codes) expect([code, classify(coded({ code }))]).toEqual([code, failure]);
  });

  it('are known by MySQL’s numbers too', () => {
    expect(classify(coded({ errno: 1213 }))).toBe('rolled-back');
    expect(classify(coded({ errno: 1205 }))).toBe('rolled-back');
    expect(classify(coded({ errno: 1040 }))).toBe('not-sent');
    expect(classify(coded({ errno: 1927 }))).toBe('in-doubt');
    expect(classify(coded({ errno: 1062 }))).toBe('final');
  });

  it('are known by MikroORM’s classes', () => {
    const plain = new Error('x');
    expect(classify(new DeadlockException(plain))).toBe('rolled-back');
    expect(classify(new LockWaitTimeoutException(plain))).toBe('rolled-back');
    expect(classify(new DriverException(plain))).toBe('final');
    expect(classify(new UniqueConstraintViolationException(plain))).toBe('final');
    expect(classify(new ConnectionException(coded({ code: 'ECONNREFUSED' })))).toBe('not-sent');
  });

  it.each([
    'Connection terminated unexpectedly',
    'Client has encountered a connection error and is not queryable',
    "Can't add new command when connection is in closed state",
    'Connection lost: The server closed the connection.',
    'Transaction query already complete, run with DEBUG=knex:tx for more info',
  ])('without a code are lost connections when the driver says %j', (message) => {
    expect(classify(new Error(`insert into t values ('x') - ${message}`))).toBe('in-doubt');
  });

  it('are not taken for lost connections by what a payload says', () => {
    const statement = `insert into t values ('Connection lost', '${'x'.repeat(300)}') - duplicate key`;
    expect(classify(new Error(statement))).toBe('final');
  });

  it('are found along the causes, in aggregates and in circles', () => {
    const deadlock = coded({ code: '40P01' });
    expect(classify(new Error('outer', { cause: new Error('middle', { cause: deadlock }) }))).toBe('rolled-back');
    expect(classify(coded({ previous: deadlock }))).toBe('rolled-back');
    expect(classify(new AggregateError([new Error('a'), coded({ code: 'ECONNREFUSED' })]))).toBe('not-sent');
    const circle = new Error('a');
    circle.cause = new Error('b', { cause: circle });
    expect(classify(circle)).toBe('final');
    expect(causes(circle)).toHaveLength(2);
  });

  it('count as rolled back when several reasons meet: that is what surely happened', () => {
    expect(classify(new Error('Connection lost', { cause: coded({ code: '40001' }) }))).toBe('rolled-back');
  });

  it.each([undefined, null, 'text', 42, {}])('are final when %p was thrown', (thrown) => {
    expect(classify(thrown)).toBe('final');
  });
});

describe('errors that were captured', () => {
  it.each(CAPTURED)('$what: $failure ($source)', ({ failure, message, facts }) => {
    const error = new DriverException(coded(facts, message));
    expect(classify(error)).toBe(failure);
    const redacted = redact(error, new MySqlPlatform(), 'select 1', []);
    expect(classify(redacted)).toBe(failure);
    expect(isOneRowsFault(redacted)).toBe(false);
  });
});

describe('failures on the way to a connection', () => {
  it.each(['ECONNRESET', 'ETIMEDOUT', 'ENOENT', 'EACCES', 'EADDRNOTAVAIL'])('sent nothing: connect %s', (code) => {
    expect(classify(coded({ code, syscall: 'connect' }))).toBe('not-sent');
  });

  it('are told from those on a connection, and from files that are missing', () => {
    expect(classify(coded({ code: 'ECONNRESET', syscall: 'read' }))).toBe('in-doubt');
    expect(classify(coded({ code: 'EHOSTUNREACH', syscall: 'read' }))).toBe('in-doubt');
    expect(classify(coded({ code: 'ENOENT', syscall: 'open' }))).toBe('final');
  });

  it('sent nothing, whatever was lost, while a connection was being acquired', () => {
    expect(classify(coded({ phase: 'acquire' }, 'Connection terminated unexpectedly'))).toBe('not-sent');
    expect(classify(coded({ phase: 'acquire', code: '28P01' }))).toBe('final');
    expect(isOneRowsFault(coded({ phase: 'acquire' }, 'a certificate has expired'))).toBe(false);
  });
});

describe('taken keys', () => {
  it.each(['23505', 'ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_PRIMARYKEY', 'SQLITE_CONSTRAINT_UNIQUE'])(
    'are known by %s',
    (code) => {
      expect(isDuplicateKey(new DriverException(coded({ code })))).toBe(true);
    },
  );

  it('are told from other refusals', () => {
    expect(isDuplicateKey(coded({ errno: 1062 }))).toBe(true);
    expect(isDuplicateKey(coded({ code: '23502' }))).toBe(false);
    expect(isDuplicateKey(undefined)).toBe(false);
  });
});
