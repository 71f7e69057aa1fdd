/** The command-line flags of the operator's bench. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readOrder, settingOf, type Order } from '../../../../bench/operator/order.ts';

const order = (...argv: string[]): Order => {
  const read = readOrder(argv);
  assert.ok(read !== 'help');
  return read;
};
const crd = join(import.meta.dirname, '..', '..', '..', '..', 'crds', 'onnxmodels.yaml');

describe('readOrder', () => {
  it('measures everything on 200 models unless told otherwise', () => {
    const { scenarios, models, changes, replicas, quietMs } = order();
    assert.deepEqual([scenarios.length, models, changes, replicas, quietMs], [7, 200, 200, 0, 60_000]);
  });

  it('is small with --quick', () => {
    const { scenarios, models, changes, quietMs } = order('--quick');
    assert.deepEqual(scenarios, ['cold', 'change', 'quiet', 'restart']);
    assert.deepEqual([models, changes, quietMs], [20, 20, 5000]);
  });

  it('changes each model once at most', () => assert.equal(order('--models', '7').changes, 7));

  it('runs scenarios in their own order', () =>
    assert.deepEqual(order('--only', 'restart', '--only', 'cold').scenarios, ['cold', 'restart']));

  it('another operator has its own definition and change, and no scenarios with our reports', () => {
    const { foreign, scenarios } = order(
      '--command',
      'go-operator  --qps 200',
      '--crd',
      crd,
      '--change',
      '{"spec":{}}',
    );
    assert.deepEqual(foreign?.argv, ['go-operator', '--qps', '200']);
    assert.equal(foreign?.definition?.kind, 'CustomResourceDefinition');
    assert.deepEqual(foreign?.change, { spec: {} });
    assert.deepEqual(scenarios, ['cold', 'change', 'quiet', 'restart']);
  });

  // prettier-ignore
  const wrong: readonly { readonly name: string; readonly argv: readonly string[]; readonly message: RegExp }[] = [
    { name: 'a number that is not whole', argv: ['--models', '1.5'], message: /--models: '1.5' is not a whole number/ },
    { name: 'no models', argv: ['--models', '0'], message: /from 1 to 5000/ },
    { name: 'an unknown scenario', argv: ['--only', 'warm'], message: /'warm' is not one of cold, change/ },
    { name: 'a scenario that needs our sidecars, of another operator', argv: ['--command', 'x', '--only', 'analysis'],
      message: /'analysis' is not one of cold, change, quiet, restart/ },
    { name: 'a duration without a unit', argv: ['--quiet', '60'], message: /'60' is not a duration/ },
    { name: 'a change that is not JSON', argv: ['--command', 'x', '--change', '{'], message: /--change: is not JSON/ },
    { name: 'an object of no other operator', argv: ['--ready', 'http://x'], message: /--ready: needs --command/ },
    { name: 'a file that does not exist', argv: ['--command', 'x', '--crd', '/none'], message: /\/none/ },
  ];
  for (const { name, argv, message } of wrong)
    it(`refuses ${name}`, () => assert.throws(() => readOrder(argv), message));
});

describe('settingOf', () => {
  it('names what counts depend on', () =>
    assert.equal(settingOf(order('--quick'), 'local'), 'local API server, 20 models with 0 pods'));

  it('names another operator', () =>
    assert.equal(settingOf(order('--command', 'x -y'), 'real'), 'real API server, 200 models with 0 pods, x -y'));
});
