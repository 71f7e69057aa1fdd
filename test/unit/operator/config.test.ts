import assert from 'node:assert/strict';
import { AppError } from '../../../api/errors.ts';
import { readOperatorConfig } from '../../../operator/config.ts';

describe("the operator's flags", () => {
  it('have defaults', () => {
    const config = readOperatorConfig([]);
    assert.ok(config !== 'help');
    assert.deepEqual(
      { ...config, identity: '', runtimeImage: '' },
      {
        leaseNamespace: 'default',
        leaderElection: true,
        identity: '',
        runtimeImage: '',
        serviceAddress: 'DNS',
        settleMs: 10_000,
        workers: 4,
        listen: { host: '127.0.0.1', port: 8083 },
        logLevel: 'info',
      },
    );
  });

  it('give each process another identity', () => {
    const [one, other] = [readOperatorConfig([]), readOperatorConfig([])];
    assert.ok(one !== 'help' && other !== 'help' && one.identity !== other.identity);
  });

  const wrong: readonly { argv: readonly string[]; says: RegExp }[] = [
    { argv: ['--bogus'], says: /bogus/ },
    { argv: ['extra'], says: /extra/ },
    { argv: ['--settle', '10'], says: /--settle: '10' is not a duration/ },
    { argv: ['--workers', '0'], says: /--workers: '0'/ },
    { argv: ['--service-address', 'IP'], says: /DNS, ClusterIP/ },
    { argv: ['--listen', '8080'], says: /--listen: '8080'/ },
    { argv: ['--log-level', 'loud'], says: /debug, info, warn, error/ },
    { argv: ['--kubeconfig', '/nowhere/at/all'], says: /\/nowhere\/at\/all: no such file/ },
  ];
  for (const { argv, says } of wrong) {
    it(`refuse ${argv.join(' ')}`, () => {
      assert.throws(
        () => readOperatorConfig(argv),
        (error) => error instanceof AppError && says.test(error.message),
      );
    });
  }

  it('turn the health server off', () => {
    const config = readOperatorConfig(['--listen', 'off']);
    assert.ok(config !== 'help' && config.listen === undefined);
  });

  it('accept an IPv6 address', () => {
    const config = readOperatorConfig(['--listen', '[::1]:8083']);
    assert.ok(config !== 'help');
    assert.deepEqual(config.listen, { host: '::1', port: 8083 });
  });
});
