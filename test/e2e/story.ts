/**
 * The functions with which stories (end-to-end tests of one task of a user) are written: given, when, then. The steps
 * of each are in given.ts, when.ts and then.ts. Every story runs in a namespace of its own, which is removed at the
 * end, also after a failure.
 */
import { World } from './world.ts';
import { Given } from './given.ts';
import { Stage } from './stage.ts';
import { Then } from './then.ts';
import { When } from './when.ts';

export type Tale = (given: Given, when: When, then: Then) => Promise<void>;

let opening: Promise<World> | undefined;

/** The environment of the stories (world.ts). The first story opens it; it is closed after the last story. */
function world(): Promise<World> {
  opening ??= World.open(process.env);
  return opening;
}

/** Closes the world. Called by test/e2e/hooks.ts. */
export async function closeWorld(): Promise<void> {
  await (await opening?.catch(() => undefined))?.close();
}

/**
 * Defines a test.
 * @param needs returns the reason to skip the story when the world lacks something, otherwise undefined
 */
export function story(name: string, tell: Tale, needs?: (world: World) => string | undefined): void {
  it(name, async function () {
    const here = await world();
    const lacking = needs?.(here);
    if (lacking !== undefined) {
      process.stdout.write(`      (skipped: ${lacking})\n`);
      this.skip();
    }
    // Start the operator, because an earlier story may have stopped it and then failed.
    here.startOperator();
    const stage = new Stage(here, await here.makeNamespace());
    try {
      await tell(new Given(stage), new When(stage), new Then(stage));
    } catch (error) {
      process.stdout.write(`${await stage.describe()}\n${here.lastLines()}\n`);
      throw error;
    } finally {
      await stage.clear();
    }
  });
}
