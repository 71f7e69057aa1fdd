import assert from 'node:assert/strict';
import { nodeFlags, wantedStart } from '../../../operator/start-flags.ts';

const nodeMajor = 26;
const flags = nodeFlags(nodeMajor);
const [young = ''] = flags;

describe('the flags of the operator process', () => {
  it('are added before the given ones', () => {
    assert.deepEqual(wantedStart({ execArgv: ['--cpu-prof'], env: { HOME: '/h' }, nodeMajor }), {
      execArgv: [...flags, '--cpu-prof'],
      env: { MALLOC_ARENA_MAX: '1', HOME: '/h' },
    });
  });

  it('keep the number of heaps that the environment names', () =>
    assert.equal(
      wantedStart({ execArgv: [], env: { MALLOC_ARENA_MAX: '4' }, nodeMajor })?.env['MALLOC_ARENA_MAX'],
      '4',
    ));

  it('are added once, so that a process starts over at most once', () => {
    const { execArgv = [], env = {} } = wantedStart({ execArgv: [], env: {}, nodeMajor }, '/cache') ?? {};
    assert.equal(wantedStart({ execArgv, env, nodeMajor }, '/cache'), undefined);
  });

  it('keep the value that the caller gave', () => {
    const given = `${young.split('=')[0] ?? ''}=64`;
    const { execArgv = [] } = wantedStart({ execArgv: [given], env: {}, nodeMajor }) ?? {};
    assert.deepEqual(execArgv, [...flags.slice(1), given]);
  });

  it('keep the value of NODE_OPTIONS, in both spellings', () => {
    for (const given of ['--max-semi-space-size=32', '--max_semi_space_size=32']) {
      const { execArgv } = wantedStart({ execArgv: [], env: { NODE_OPTIONS: `--trace-gc ${given}` }, nodeMajor }) ?? {};
      assert.deepEqual(execArgv, flags.slice(1));
    }
  });

  it('are only the documented ones for a Node that was not tested', () =>
    assert.deepEqual(nodeFlags(27), ['--max-semi-space-size=4']));

  for (const { name, env, folder } of [
    { name: 'the folder of compiled code is given in the environment', env: {}, folder: '/cache' },
    {
      name: 'a folder of compiled code that the environment names is kept',
      env: { NODE_COMPILE_CACHE: '/own' },
      folder: '/own',
    },
  ])
    it(name, () =>
      assert.equal(wantedStart({ execArgv: [], env, nodeMajor }, '/cache')?.env['NODE_COMPILE_CACHE'], folder),
    );
});
