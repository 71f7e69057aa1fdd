/** Ends what the stories started: after the last one, or when they are told to stop. Given to mocha by `--require`. */
import { closeWorld } from './story.ts';

export const mochaHooks = { afterAll: closeWorld };

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void closeWorld().finally(() => process.exit(130));
  });
}
