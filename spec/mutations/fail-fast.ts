import NodeEnvironment from 'jest-environment-node';

/** What jest-circus tells an environment, as far as this one listens. */
interface TestEvent {
  readonly name: string;
  readonly test?: { mode?: string | null | undefined; readonly errors: readonly unknown[] };
}

/** Runs the tests of a file up to the first that fails, and the hooks that clean up after them. */
export default class FailFast extends NodeEnvironment {
  private hasFailed = false;

  async handleTestEvent({ name, test }: TestEvent): Promise<void> {
    if (name === 'test_done' && test && test.errors.length > 0) this.hasFailed = true;
    if (name === 'test_start' && test && this.hasFailed) test.mode = 'skip';
  }
}
