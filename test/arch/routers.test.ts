/**
 * Checks that a router's name occurs only in the modules of that router and in the table that chooses a router. A
 * router is a way to share traffic between revisions, such as HTTPRoute. Other code calls the interface that all
 * routers implement.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { routerNames } from '../../api/routers.ts';
import { withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const modules = ['traffic/router.ts', 'traffic/by-pods.ts', 'traffic/http-route.ts', 'resources/route.ts'].map(
  (name) => `operator/${name}`,
);

/** Router names that are also kinds of built-in objects. Such a name alone does not show that the router is meant. */
const alsoKinds = ['Service'];

/** Lines that contain a router's name, or compare a value with it. */
function namingsIn(source: string): readonly string[] {
  const own = routerNames.filter((name) => !alsoKinds.includes(name)).join('|');
  const patterns = [
    new RegExp(`\\b(?:${own})\\b`),
    /\brouter\s*[!=]==/,
    new RegExp(`\\brouter\\b.*['"](?:${routerNames.join('|')})['"]`),
  ];
  return withoutComments(source)
    .split('\n')
    .filter((line) => patterns.some((pattern) => pattern.test(line)))
    .map((line) => line.trim());
}

describe('routers', () => {
  for (const folder of ['operator', 'cli']) {
    it(`are named by no other file of ${folder}/`, () => {
      const found = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .map((name) => join(folder, name))
        .filter((path) => path.endsWith('.ts') && !modules.includes(path))
        .flatMap((path) => namingsIn(readFileSync(join(root, path), 'utf8')).map((line) => `${path}: ${line}`));
      assert.deepEqual(found, []);
    });
  }

  // prettier-ignore
  const mustFind: readonly { readonly name: string; readonly source: string }[] = [
    { name: 'a test for a name', source: "if (plan.router === 'Service') return 99;" },
    { name: 'a test for another name', source: "if (plan.router !== routers.none) return 99;" },
    { name: 'a kind that a router makes', source: "return manifest.kind === 'HTTPRoute';" },
    { name: 'a default', source: "const router = spec.router ?? 'Service';" },
    { name: 'a name in a message', source: 'return `HTTPRoute ${name} was changed`;' },
  ];
  for (const { name, source } of mustFind) {
    it(`would notice ${name}`, () => assert.equal(namingsIn(source).length, 1));
  }

  it('may share a word with a kind, and be named in comments', () => {
    assert.deepEqual(namingsIn("/* HTTPRoute */\nconst isEntry = manifest.kind === 'Service';"), []);
  });
});
