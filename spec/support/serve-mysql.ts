/** A real MySQL to run tests against, until it is interrupted: `npm run mysql`, or `npm run mysql -- <port>`. */
import { MySqlServer } from './mysql-server';

async function main([port = '3307']: string[]): Promise<void> {
  const server = await MySqlServer.start(Number(port));
  process.stdout.write(`${server.url}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop());
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
