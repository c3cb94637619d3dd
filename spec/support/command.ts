import globalSetup from './global-setup';
import globalTeardown from './global-teardown';

/** Run a command with the options that its arguments are. What is wrong with them is said with its usage; failing ends with 1. */
export function runCommand<Options>(
  readOptions: (args: string[]) => Options,
  usage: string,
  main: (options: Options) => Promise<void>,
): void {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exitCode = 1;
    return;
  }
  main(options).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

/** Do work beside the servers that the tests run on. */
export async function besideServers(work: () => Promise<void>): Promise<void> {
  await globalSetup();
  try {
    await work();
  } finally {
    await globalTeardown();
  }
}
