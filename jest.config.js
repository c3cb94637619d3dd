// Instants are UTC everywhere: a zone with daylight saving time shows where they are not.
process.env.TZ ??= 'America/New_York';

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/spec/**/*.spec.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { diagnostics: false }] },
  globalSetup: '<rootDir>/spec/support/global-setup.ts',
  globalTeardown: '<rootDir>/spec/support/global-teardown.ts',
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/bench'],
  // Real databases: two files at a time keep two cores busy, and more would only compete for them.
  maxWorkers: 2,
  // Only what hangs takes so long, however busy the machine is.
  testTimeout: 300_000,
};
