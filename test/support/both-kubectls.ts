/**
 * Runs tests with kubectl 1.34 and 1.35 at the same time, because the tests mostly wait. Owns: preparing a server for
 * each version, and ending everything that was prepared, also after a failure. Use: inside a `describe`. The tests are
 * skipped on machines on which the kubectl programs of the npm packages do not run.
 */
import { kubeToolsRunHere, type KubeVersion } from '../../scripts/kubectl.ts';

/** Clean-up functions. Each is added as soon as its process or server is started. */
export type Ends = (() => void | Promise<void>)[];

export type BothKubectls<T> = {
  /** Defines a test that runs against both targets. */
  readonly each: (name: string, test: (target: T) => Promise<void>) => void;
  /** The two targets, which are set before the first test. */
  readonly targets: readonly T[];
  readonly ends: Ends;
};

export function onBothKubectls<T>(prepare: (version: KubeVersion, ends: Ends) => Promise<T>): BothKubectls<T> {
  const targets: T[] = [];
  const ends: Ends = [];
  before(async function () {
    // The kubectl programs of the npm packages run only on Linux on x86-64.
    if (!kubeToolsRunHere) this.skip();
    targets.push(...(await Promise.all([prepare('34', ends), prepare('35', ends)])));
  });
  after(async () => {
    for (const end of ends) await end();
  });
  const each = (name: string, test: (target: T) => Promise<void>): void => {
    it(name, async () => void (await Promise.all(targets.map(test))));
  };
  return { each, targets, ends };
}
