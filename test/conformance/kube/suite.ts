/**
 * One suite, for any server, of what the operator and its users rely on in the Kubernetes API.
 * Owns: the list of chapters. `npm test` runs it against local mode, `npm run test:conformance` against a real
 * kube-apiserver. A difference between the two is a bug of local mode.
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
 * @param open starts or finds the server
 * @returns its kubeconfig's text, and a function that ends what was started
 */
export function kubeConformance(
  name: string,
  open: () => Promise<{ readonly kubeconfig: string; readonly close: () => Promise<void> }>,
): void {
  describe(`the Kubernetes API of ${name}`, function () {
    this.timeout(60_000);
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
