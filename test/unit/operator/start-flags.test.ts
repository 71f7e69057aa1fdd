import assert from 'node:assert/strict';
import { nodeFlags, wantedStart } from '../../../operator/start-flags.ts';

const [young = ''] = nodeFlags;

describe('the flags of the operator process', () => {
  it('are added before the given ones', () => {
    assert.deepEqual(wantedStart({ execArgv: ['--cpu-prof'], env: { HOME: '/h' } }), {
      execArgv: [...nodeFlags, '--cpu-prof'],
      env: { HOME: '/h' },
    });
  });

  it('are added once, so that a process starts over at most once', () => {
    const { execArgv = [], env = {} } = wantedStart({ execArgv: [], env: {} }, '/cache') ?? {};
    assert.equal(wantedStart({ execArgv, env }, '/cache'), undefined);
  });

  it('keep the value that the caller gave', () => {
    const given = `${young.split('=')[0] ?? ''}=64`;
    const { execArgv = [] } = wantedStart({ execArgv: [given], env: {} }) ?? {};
    assert.deepEqual(execArgv, [...nodeFlags.slice(1), given]);
  });

  for (const { name, env, folder } of [
    { name: 'the folder of compiled code is given in the environment', env: {}, folder: '/cache' },
    {
      name: 'a folder of compiled code that the environment names is kept',
      env: { NODE_COMPILE_CACHE: '/own' },
      folder: '/own',
    },
  ])
    it(name, () => assert.equal(wantedStart({ execArgv: [], env }, '/cache')?.env['NODE_COMPILE_CACHE'], folder));
});
