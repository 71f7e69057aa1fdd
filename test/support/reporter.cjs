/**
 * mocha's spec reporter with a closing line for CI.
 * Owns: the closing line `N passed, N failed`, followed by `, N skipped` if tests were skipped.
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
