/** A kind of database server: how it is called, where one is looked for, and what a person runs to have one. */
export interface ServerKind {
  readonly label: 'PostgreSQL' | 'MariaDB' | 'MySQL';
  /** The variable of the environment that names a server. */
  readonly variable: string;
  /** Where one may answer on this host. MySQL and MariaDB have the same port and are told apart by what they answer. */
  readonly defaultUrls: readonly string[];
  readonly start: string;
}

export const POSTGRES: ServerKind = {
  label: 'PostgreSQL',
  variable: 'DURABLE_TEST_POSTGRES_URL',
  defaultUrls: ['postgresql://postgres@127.0.0.1:5432/postgres'],
  start: 'docker run --rm -d -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:17',
};

export const MARIADB: ServerKind = {
  label: 'MariaDB',
  variable: 'DURABLE_TEST_MARIADB_URL',
  defaultUrls: ['mysql://root@127.0.0.1:3306/mysql'],
  start: 'docker run --rm -d -p 3306:3306 -e MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 mariadb:11',
};

export const MYSQL: ServerKind = {
  label: 'MySQL',
  variable: 'DURABLE_TEST_MYSQL_URL',
  defaultUrls: ['mysql://root@127.0.0.1:3307/mysql', 'mysql://root@127.0.0.1:3306/mysql'],
  start: 'docker run --rm -d -p 3307:3306 -e MYSQL_ALLOW_EMPTY_PASSWORD=1 mysql:9',
};
