import { DriverException, UniqueConstraintViolationException } from '@mikro-orm/core';
import { MySqlPlatform } from '@mikro-orm/mysql';
import { PostgreSqlPlatform } from '@mikro-orm/postgresql';
import { redact } from '../lib/redact';

const SECRET = 'card 4111-1111';
const sql = 'insert into t (id, payload) values (?, ?)';
const params = [7, SECRET];
const postgresql = new PostgreSqlPlatform();
const statement = postgresql.formatQuery(sql, params);

/** Everything of an error that a logger may print. */
function everything(error: Error): string {
  const own = Object.getOwnPropertyNames(error).map((name) => String((error as never)[name]));
  return [String(error), error.stack, String(error.cause), JSON.stringify(error), ...own].join('\n');
}

describe('redacted database errors', () => {
  it('lose the statement and its values, and keep class, code and the server’s words', () => {
    const driver = Object.assign(new Error(`${statement} - duplicate key value violates unique constraint "t_pkey"`), {
      code: '23505',
      constraint: 't_pkey',
      detail: `Key (payload)=(${SECRET}) already exists.`,
      sql: statement,
      query: statement,
    });
    const error = redact(new UniqueConstraintViolationException(driver), postgresql, sql, params);
    expect(error).toBeInstanceOf(UniqueConstraintViolationException);
    const message = 'duplicate key value violates unique constraint "t_pkey"';
    expect(error).toMatchObject({ message, code: '23505', constraint: 't_pkey' });
    expect(error.name).toBe('UniqueConstraintViolationException');
    expect(everything(error)).not.toMatch(/4111|insert into/);
  });

  it('take MySQL’s own message where there is one, without what it quotes', () => {
    const driver = Object.assign(new Error(`${statement} - Duplicate entry`), {
      code: 'ER_DUP_ENTRY',
      errno: 1062,
      sqlState: '23000',
      sqlMessage: `Duplicate entry '${SECRET}' for key 'PRIMARY'`,
      sql: statement,
    });
    const error = redact(new DriverException(driver), new MySqlPlatform(), sql, params);
    expect(error).toMatchObject({ code: 'ER_DUP_ENTRY', errno: 1062, sqlState: '23000' });
    expect(error.message).toBe("Duplicate entry … for key 'PRIMARY'");
    expect(everything(error)).not.toMatch(/4111|insert into/);
  });

  it.each([
    `invalid input syntax for type json: "${SECRET}"`,
    `syntax error at or near "${SECRET}"`,
    `value '${SECRET}' for column 'x' is wrong`,
    `Incorrect integer value: '${SECRET}' for column 'seq' at row 1`,
    `You have an error near '${SECRET}' at line 1`,
    `near "${SECRET}": syntax error`,
    `numeric value out of range: "${SECRET}"`,
    `somewhere else it says ${SECRET} too`,
  ])('lose the value a server quotes in %j', (message) => {
    const error = redact(new DriverException(new Error(`${statement} - ${message}`)), postgresql, sql, params);
    expect(everything(error)).not.toContain('4111');
    expect(error.message.length).toBeGreaterThan(0);
  });

  it('lose a statement that a hook of the host changed', () => {
    const changed = `/* traced */ ${statement} - deadlock detected`;
    const error = redact(new DriverException(new Error(changed)), postgresql, sql, params);
    expect(everything(error)).not.toMatch(/4111|insert into/);
    expect(error.message).toBe('deadlock detected');
  });

  it('do not change the error they were made from', () => {
    const driver = new DriverException(new Error(`${statement} - no`));
    const before = driver.message;
    redact(driver, postgresql, sql, params);
    expect(driver.message).toBe(before);
  });

  it('make an error of what is none, without quoting it', () => {
    const error = redact(SECRET, postgresql, sql, params);
    expect(error).toBeInstanceOf(Error);
    expect(everything(error)).not.toContain('4111');
  });
});
