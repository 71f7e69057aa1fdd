/** Watches: their events, where they start, bookmarks, how they end, selectors. */
import assert from 'node:assert/strict';
import type { Watch, WatchEvent } from './api.ts';
import { ok, refused, type World } from './world.ts';

export function watchChapter(here: () => World): void {
  describe('watches', () => {
    const open: Watch[] = [];
    after(() => {
      for (const watch of open) watch.close();
    });

    async function watch(query: string, path = here().path('v1', 'configmaps')): Promise<Watch> {
      const watching = await here().api.watch(`${path}?watch=true&${query}`);
      open.push(watching);
      return watching;
    }

    async function now(path = here().path('v1', 'configmaps')): Promise<string> {
      return ok(await here().api.get(`${path}?limit=1`)).metadata.resourceVersion;
    }

    function stories(watching: Watch, prefix: string): string[] {
      return watching.events
        .filter((event) => String(event.object.metadata?.name).startsWith(prefix))
        .map((event) => `${event.type} ${event.object.metadata.name}`);
    }

    it('report every change after a resourceVersion, in order', async () => {
      const watching = await watch(`resourceVersion=${await now()}`);
      const made = await here().createConfigMap('w-a', {});
      const changed = ok(await here().api.patch(here().path('v1', 'configmaps', 'w-a'), 'merge', { data: { k: 'v' } }));
      ok(await here().api.delete(here().path('v1', 'configmaps', 'w-a')));
      const last = await watching.until(
        'the deletion',
        (event) => event.type === 'DELETED' && event.object.metadata.name === 'w-a',
      );
      assert.deepEqual(stories(watching, 'w-a'), ['ADDED w-a', 'MODIFIED w-a', 'DELETED w-a']);
      const versions = watching.events
        .filter((event) => event.object.metadata.name === 'w-a')
        .map((event) => event.object.metadata.resourceVersion);
      assert.deepEqual(versions.slice(0, 2), [made.metadata.resourceVersion, changed.metadata.resourceVersion]);
      assert.ok(Number(versions[2]) > Number(versions[1]));
      assert.deepEqual([last.object.data, last.object.kind, last.object.apiVersion], [{ k: 'v' }, 'ConfigMap', 'v1']);
    });

    it('report missed changes', async () => {
      const from = await now();
      await here().createConfigMap('w-b1', {});
      await here().createConfigMap('w-b2', {});
      const watching = await watch(`resourceVersion=${from}`);
      await watching.until('the second', (event) => event.object.metadata.name === 'w-b2');
      assert.deepEqual(stories(watching, 'w-b'), ['ADDED w-b1', 'ADDED w-b2']);
    });

    it('begin with the current objects when no resourceVersion is given', async () => {
      await here().createConfigMap('w-c', {});
      const watching = await watch('');
      await watching.until('the object', (event) => event.type === 'ADDED' && event.object.metadata.name === 'w-c');
    });

    it('list and mark the end of the list on request', async () => {
      await here().createWidget('w-list', {}, { labels: { kind: 'watchlist' } });
      const watching = await watch(
        'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan' +
          '&labelSelector=kind%3Dwatchlist',
        here().widgets(),
      );
      const mark = await watching.until('the bookmark', (event) => event.type === 'BOOKMARK');
      assert.equal(mark.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
      assert.deepEqual([mark.object.kind, mark.object.apiVersion], ['Widget', here().apiVersion]);
      assert.match(mark.object.metadata.resourceVersion, /^\d+$/);
      assert.deepEqual(
        watching.events.map((event) => event.type),
        ['ADDED', 'BOOKMARK'],
      );
      await here().createWidget('w-list-2', {}, { labels: { kind: 'watchlist' } });
      await watching.until('the next', (event) => event.object.metadata.name === 'w-list-2');
    });

    it('list only with a resourceVersionMatch', async () => {
      const status = refused(
        await here().api.get(`${here().widgets()}?watch=true&sendInitialEvents=true`),
        422,
        'Invalid',
      );
      assert.equal(
        status.details.causes[0].message,
        'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      );
    });

    it('end at their timeout', async () => {
      const watching = await watch('timeoutSeconds=1');
      await watching.untilEnd();
    });

    it('report in the stream that a resourceVersion is too old', async () => {
      const watching = await watch('resourceVersion=1', here().widgets());
      const event = await watching.until('the error', (one) => one.type === 'ERROR');
      assert.deepEqual([event.object.kind, event.object.reason, event.object.code], ['Status', 'Expired', 410]);
      assert.match(event.object.message, /^too old resource version: 1 \(\d+\)$/);
      await watching.untilEnd();
    });

    it('show objects that enter and leave their selector', async () => {
      const watching = await watch(`labelSelector=w%3Dyes&resourceVersion=${await now()}`);
      const path = here().path('v1', 'configmaps', 'w-sel');
      const label = async (w: string): Promise<unknown> =>
        ok(await here().api.patch(path, 'merge', { metadata: { labels: { w } } }));
      await here().createConfigMap('w-sel', { labels: { w: 'no' } });
      await label('yes');
      ok(await here().api.patch(path, 'merge', { data: { k: 'v' } }));
      const left = (await label('no')) as { metadata: { resourceVersion: string } };
      const event = await watching.until('the exit', (one) => one.type === 'DELETED');
      assert.deepEqual(
        watching.events.map((one: WatchEvent) => one.type),
        ['ADDED', 'MODIFIED', 'DELETED'],
      );
      assert.deepEqual(
        [event.object.metadata.labels, event.object.metadata.resourceVersion],
        [{ w: 'yes' }, left.metadata.resourceVersion],
      );
    });

    it('follow one object by its name', async () => {
      const watching = await watch(`fieldSelector=metadata.name%3Dw-one&resourceVersion=${await now()}`);
      await here().createConfigMap('w-two', {});
      await here().createConfigMap('w-one', {});
      await watching.until('the object', (event) => event.object.metadata.name === 'w-one');
      assert.equal(watching.events.length, 1);
    });

    it('can be tables, with the columns once', async () => {
      const watching = await here().api.watch(
        `${here().widgets()}?watch=true&fieldSelector=metadata.name%3Dw-table`,
        'application/json;as=Table;v=v1;g=meta.k8s.io',
      );
      open.push(watching);
      await here().createWidget('w-table');
      ok(await here().api.patch(here().widgets('w-table'), 'merge', { spec: { replicas: 2 } }));
      await watching.until('both', () => watching.events.length === 2);
      const [first, second] = watching.events;
      assert.equal(first?.object.kind, 'Table');
      assert.equal(first?.object.columnDefinitions.length, 6);
      assert.equal(second?.object.columnDefinitions, null);
      assert.deepEqual(second?.object.rows[0].cells.slice(0, 3), ['w-table', 'small', 2]);
    });
  });
}
