/**
 * For every task in api/tasks.ts: the schema and the runtime accept the task, and the task's entry in the runtime's
 * table of tasks matches its routes.
 */
import assert from 'node:assert/strict';
import { openApiSchema } from '../../../../api/onnxmodel.ts';
import { runtimeConfigSchema } from '../../../../api/runtime-config.ts';
import { checkOf } from '../../../../api/schema/check.ts';
import { plannedTasks, taskNames } from '../../../../api/tasks.ts';
import { readyLine } from '../../../../runtime/serve/ready-line.ts';
import { findRoute, type RouteTable } from '../../../../runtime/transport/http/routes.ts';
import { tasks } from '../../../../runtime/tasks/registry.ts';
import { givenConfig } from '../../../support/model-server.ts';

const table: RouteTable = {
  served: { name: 'm', version: 'r1' },
  complete: true,
  exact: new Map(),
  model: {} as RouteTable['model'],
};

/** The path of the first invalid field in a config with this task. */
function faultyField(task: string): string | undefined {
  return checkOf(runtimeConfigSchema, 'Refuse')({ ...givenConfig(), task })?.path;
}

describe('the tasks', () => {
  const published = openApiSchema('published').properties?.['spec']?.properties?.['model']?.properties?.['task']?.enum;
  it('are the same as in the schema', () => assert.deepEqual(published, taskNames));
  it('are not the planned ones', () => {
    for (const name of plannedTasks) assert.equal(faultyField(name), 'task');
  });

  for (const name of taskNames) {
    const { load, paths, asked } = tasks[name];

    describe(name, () => {
      it("is accepted in a pod's config", () => assert.notEqual(faultyField(name), 'task'));
      it('can be loaded', async () => assert.equal(typeof (await load()), 'function'));

      for (const path of paths) {
        it(`is named at ${path} to clients of a model with another task`, () => {
          assert.throws(() => findRoute(table, 'POST', path), new RegExp(`set spec.model.task: ${name}`));
        });
      }

      if (asked === undefined) return;
      it('uses its own paths in the example and in golden cases', () => {
        const cases = asked.cases('m', { seed: 1, count: 2 });
        assert.deepEqual(
          cases.map(({ question }) => paths.includes(question.path)),
          [true, true],
        );
        const { path, body } = asked.example('m');
        assert.ok(paths.includes(path));
        const facts = { signature: { inputs: [], outputs: [] }, url: 'http://h', metricsUrl: 'http://h:3' };
        const line = readyLine({ config: { name: 'm', task: name }, ...facts });
        assert.ok(line.includes(`curl -s http://h${path} `) && line.includes(JSON.stringify(body)), line);
      });
    });
  }
});
