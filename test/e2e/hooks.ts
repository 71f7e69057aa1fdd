/** Ends what the stories started. Given to mocha by `--require`. */
import { closeWorld } from './story.ts';

export const mochaHooks = { afterAll: closeWorld };
