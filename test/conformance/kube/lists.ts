/** Lists: selectors, pages, resource versions, tables. */
import assert from 'node:assert/strict';
import type { Json } from './api.ts';
import { ok, refused, type World } from './world.ts';

const tableAccept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

function names(list: Json): string[] {
  return list.items.map((item: Json) => item.metadata.name);
}

export function listChapter(here: () => World): void {
  describe('lists', () => {
    before(async () => {
      for (const [name, labels] of [
        ['l1', { kind: 'list', tier: 'a' }],
        ['l2', { kind: 'list', tier: 'b' }],
        ['l3', { kind: 'list' }],
      ] as const) {
        await here().createWidget(name, {}, { labels });
        await here().createConfigMap(name, { labels });
      }
    });

    const selections: readonly (readonly [selector: string, wanted: readonly string[]])[] = [
      ['kind=list', ['l1', 'l2', 'l3']],
      ['kind==list,tier=a', ['l1']],
      ['kind=list,tier!=a', ['l2', 'l3']],
      ['kind=list,tier in (a, b)', ['l1', 'l2']],
      ['kind=list,tier notin (a)', ['l2', 'l3']],
      ['kind=list,tier', ['l1', 'l2']],
      ['kind=list,!tier', ['l3']],
    ];
    for (const [selector, wanted] of selections) {
      it(`select by ${selector}`, async () => {
        for (const path of [here().widgets(), here().path('v1', 'configmaps')])
          assert.deepEqual(
            names(ok(await here().api.get(`${path}?labelSelector=${encodeURIComponent(selector)}`))),
            wanted,
          );
      });
    }

    it('select by name', async () => {
      assert.deepEqual(names(ok(await here().api.get(`${here().widgets()}?fieldSelector=metadata.name%3Dl2`))), ['l2']);
      assert.deepEqual(
        names(ok(await here().api.get(`${here().path('v1', 'configmaps')}?fieldSelector=metadata.name%3Dl2`))),
        ['l2'],
      );
    });

    it('refuse an invalid selector', async () => {
      const status = refused(
        await here().api.get(`${here().widgets()}?labelSelector=${encodeURIComponent('a==b==c')}`),
        400,
        'BadRequest',
      );
      assert.match(status.message, /found '==', expected: ',' or 'end of string'/);
    });

    it('refuse unsupported field selectors', async () => {
      const status = refused(
        await here().api.get(`${here().widgets()}?fieldSelector=spec.size%3Dsmall`),
        400,
        'BadRequest',
      );
      assert.equal(status.message, 'field label not supported: spec.size');
    });

    it('have their kind, and custom items have their kind, too', async () => {
      const widgets = ok(await here().api.get(`${here().widgets()}?labelSelector=kind%3Dlist`));
      assert.deepEqual(
        [widgets.kind, widgets.apiVersion, widgets.items[0].kind],
        ['WidgetList', here().apiVersion, 'Widget'],
      );
      const maps = ok(await here().api.get(`${here().path('v1', 'configmaps')}?labelSelector=kind%3Dlist`));
      assert.deepEqual([maps.kind, maps.apiVersion, maps.items[0].kind], ['ConfigMapList', 'v1', undefined]);
    });

    it('have pages of one resourceVersion', async () => {
      const query = `${here().path('v1', 'configmaps')}?labelSelector=kind%3Dlist&limit=2`;
      const first = ok(await here().api.get(query));
      assert.deepEqual(names(first), ['l1', 'l2']);
      assert.notEqual(first.metadata.continue, '');
      await here().createConfigMap('l4', { labels: { kind: 'list' } });
      const second = ok(await here().api.get(`${query}&continue=${encodeURIComponent(first.metadata.continue)}`));
      assert.deepEqual(names(second), ['l3']);
      assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
      assert.equal(second.metadata.continue, undefined);
      ok(await here().api.delete(here().path('v1', 'configmaps', 'l4')));
    });

    it('count the remaining items on a page without selector', async () => {
      const all = names(ok(await here().api.get(here().widgets())));
      const page = ok(await here().api.get(`${here().widgets()}?limit=1`));
      assert.equal(page.metadata.remainingItemCount, all.length - 1);
    });

    it('refuse an invalid continue token', async () => {
      refused(await here().api.get(`${here().widgets()}?limit=1&continue=abc`), 400, 'BadRequest');
    });

    it('are not older than the given resourceVersion', async () => {
      const made = await here().createConfigMap('newest', {});
      for (const query of [
        '',
        '?resourceVersion=0',
        `?resourceVersion=${made.metadata.resourceVersion}&resourceVersionMatch=NotOlderThan`,
      ]) {
        const list = ok(await here().api.get(`${here().path('v1', 'configmaps')}${query}`));
        // kube-apiserver answers resourceVersion=0 from its cache, which may not contain the newest object yet.
        if (query !== '?resourceVersion=0') assert.ok(names(list).includes('newest'), query);
        assert.match(list.metadata.resourceVersion, /^\d+$/);
      }
    });

    it('show the exact state of a past resourceVersion', async () => {
      const made = await here().createConfigMap('exact', {});
      ok(await here().api.delete(here().path('v1', 'configmaps', 'exact')));
      const list = ok(
        await here().api.get(
          `${here().path('v1', 'configmaps')}?resourceVersion=` +
            `${made.metadata.resourceVersion}&resourceVersionMatch=Exact`,
        ),
      );
      assert.ok(names(list).includes('exact'));
      assert.equal(list.metadata.resourceVersion, made.metadata.resourceVersion);
    });

    it('refuse a resourceVersion from the future', async () => {
      const status = refused(
        await here().api.get(
          `${here().path('v1', 'configmaps')}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan`,
        ),
        504,
        'Timeout',
      );
      assert.match(status.message, /^Timeout: Too large resource version: 999999999, current: \d+$/);
      assert.equal(status.details.causes[0].reason, 'ResourceVersionTooLarge');
    });

    it('refuse an invalid resourceVersion', async () => {
      refused(await here().api.get(`${here().widgets()}?resourceVersion=abc`), 400, 'BadRequest');
      const status = refused(await here().api.get(`${here().widgets()}?resourceVersionMatch=Exact`), 422, 'Invalid');
      assert.equal(
        status.details.causes[0].message,
        'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
      );
    });

    it('can be tables with the columns of the definition', async () => {
      await here().createWidget('tabled', { replicas: 3, note: 'note' }, { labels: { kind: 'table' } });
      const table = ok(await here().api.get(`${here().widgets()}?labelSelector=kind%3Dtable`, { accept: tableAccept }));
      assert.equal(table.kind, 'Table');
      assert.deepEqual(
        table.columnDefinitions.map((column: Json) => [column.name, column.type, column.priority]),
        [
          ['Name', 'string', 0],
          ['Size', 'string', 0],
          ['Replicas', 'integer', 0],
          ['Ready', 'string', 0],
          ['Note', 'string', 1],
          ['Age', 'date', 0],
        ],
      );
      const [row] = table.rows;
      assert.deepEqual(row.cells.slice(0, 5), ['tabled', 'small', 3, null, 'note']);
      assert.match(row.cells[5], /^\d+s$/);
      assert.deepEqual([row.object.kind, row.object.metadata.name], ['PartialObjectMetadata', 'tabled']);
    });

    it('can be tables of whole objects', async () => {
      const table = ok(
        await here().api.get(`${here().widgets('tabled')}?includeObject=Object`, { accept: tableAccept }),
      );
      assert.equal(table.rows[0].object.spec.replicas, 3);
    });

    it('can be metadata alone', async () => {
      const list = ok(
        await here().api.get(`${here().widgets()}?labelSelector=kind%3Dlist`, {
          accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
        }),
      );
      assert.equal(list.kind, 'PartialObjectMetadataList');
      assert.deepEqual(Object.keys(list.items[0]).sort(), ['apiVersion', 'kind', 'metadata']);
    });
  });
}
