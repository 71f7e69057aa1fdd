/**
 * Checks, against any API server, the features of the Kubernetes API that the operator and its users rely on.
 * Owns: the list of chapters. `npm test` runs it against local mode (this project's cluster in one process), `npm run
 * test:conformance` against kube-apiserver. If a test passes against kube-apiserver only, local mode has a bug.
 */
import { applyChapter } from './apply.ts';
import { builtinChapter } from './builtins.ts';
import { deletionChapter } from './deletion.ts';
import { discoveryChapter } from './discovery.ts';
import { kubectlChapter } from './kubectl.ts';
import { listChapter } from './lists.ts';
import { objectChapter } from './objects.ts';
import { patchChapter } from './patches.ts';
import { refusalChapter } from './refusals.ts';
import { routeChapter } from './routes.ts';
import { validationChapter } from './validation.ts';
import { watchChapter } from './watches.ts';
import { World } from './world.ts';

/**
 * @param open finds or starts the server. It returns the text of a kubeconfig, and `close`, which ends what `open`
 * started
 */
export function kubeConformance(
  name: string,
  open: () => Promise<{ readonly kubeconfig: string; readonly close: () => Promise<void> }>,
): void {
  describe(`the Kubernetes API of ${name}`, function () {
    let world: World | undefined;
    let end = async (): Promise<void> => {};

    before(async () => {
      const server = await open();
      end = server.close;
      world = new World(server.kubeconfig);
      await world.open();
    });
    after(async () => {
      try {
        await world?.close();
      } finally {
        await end();
      }
    });

    const here = (): World => {
      if (world === undefined) throw new Error('the server did not start');
      return world;
    };
    objectChapter(here);
    applyChapter(here);
    patchChapter(here);
    listChapter(here);
    watchChapter(here);
    validationChapter(here);
    deletionChapter(here);
    builtinChapter(here);
    refusalChapter(here);
    discoveryChapter(here);
    routeChapter(here);
    kubectlChapter(here);
  });
}
