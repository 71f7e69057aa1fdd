/** What `npm test` runs: everything that needs no cluster. The guard speaks first when Node is too old. */
'use strict';
require('./scripts/node-guard.cjs');
module.exports = {
  spec: [
    'test/unit/**/*.test.ts',
    'test/arch/**/*.test.ts',
    'test/story/**/*.test.ts',
    'test/conformance/**/*.test.ts',
    'test/integration/**/*.test.ts',
  ],
  reporter: './test/support/reporter.cjs',
  // For a machine on which much else runs. A test that asserts a duration takes it from a clock of its own.
  timeout: 180_000,
  // Files are independent: two at a time, as many as the smallest machine that this is for has cores.
  parallel: true,
  jobs: 2,
  forbidOnly: Boolean(process.env.CI),
  // With --no-parallel a test that leaves something open is seen, because the run does not end; in CI it must not cost
  // the hour.
  exit: Boolean(process.env.CI),
};
