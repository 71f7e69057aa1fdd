/**
 * mocha's spec reporter, without passing tests in CI, with the closing line that CI reads.
 * Owns: the closing line `N passed, N failed`, alone on its line.
 */
'use strict';
const Mocha = require('mocha');

module.exports = class ClosingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const skipped = this.stats.pending > 0 ? `, ${this.stats.pending} skipped` : '';
      process.stdout.write(`${this.stats.passes} passed, ${this.stats.failures} failed${skipped}\n`);
    });
  }
};
