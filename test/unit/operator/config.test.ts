import assert from 'node:assert/strict';
import { AppError } from '../../../api/errors.ts';
import { readOperatorConfig } from '../../../operator/config.ts';

const image = ['--runtime-image', 'registry.example.com/onnx-runtime:1'];

describe("the operator's flags", () => {
  it('have defaults', () => {
    const config = readOperatorConfig(image);
    assert.ok(config !== 'help');
    assert.deepEqual(
      { ...config, identity: '' },
      {
        leaseNamespace: 'default',
        shard: { index: 0, of: 1 },
        leaderElection: true,
        identity: '',
        runtimeImage: 'registry.example.com/onnx-runtime:1',
        serviceAddress: 'DNS',
        settleMs: 10_000,
        workers: 8,
        apiLimits: { qps: 0, burst: 1 },
        listen: { host: '127.0.0.1', port: 8083 },
        logLevel: 'info',
      },
    );
  });

  it('say how to build and push an image when --runtime-image is missing', () => {
    assert.throws(
      () => readOperatorConfig([]),
      (error) =>
        error instanceof AppError &&
        error.code === 'BAD_FLAG' &&
        /--runtime-image: is missing: .*npm run image -- .*skopeo copy .*docs\/images\.md/.test(error.message),
    );
  });

  it('give each process another identity', () => {
    const [one, other] = [readOperatorConfig(image), readOperatorConfig(image)];
    assert.ok(one !== 'help' && other !== 'help' && one.identity !== other.identity);
  });

  const wrong: readonly { argv: readonly string[]; says: RegExp }[] = [
    { argv: ['--bogus'], says: /bogus/ },
    { argv: ['extra'], says: /extra/ },
    { argv: ['--settle', '10'], says: /--settle: '10' is not a duration/ },
    { argv: ['--workers', '0'], says: /--workers: '0'/ },
    { argv: ['--max-concurrent-reconciles', '257'], says: /--max-concurrent-reconciles: '257' .* from 1 to 256/ },
    { argv: ['--max-concurrent-reconciles', '8', '--workers', '8'], says: /another name/ },
    { argv: ['--kube-api-qps', '-1'], says: /kube-api-qps/ },
    { argv: ['--kube-api-qps', '1e3'], says: /--kube-api-qps: '1e3' .* from 0 to 10000/ },
    { argv: ['--kube-api-burst', '5'], says: /--kube-api-burst: needs --kube-api-qps/ },
    { argv: ['--kube-api-qps', '5', '--kube-api-burst', '0'], says: /--kube-api-burst: '0'/ },
    { argv: ['--shard', '3/3'], says: /--shard: '3\/3' is not I\/N with I from 0 to N-1 and N from 1 to 64/ },
    { argv: ['--shard', '0/65'], says: /--shard/ },
    { argv: ['--shard', '0/0'], says: /--shard/ },
    { argv: ['--shard', '1'], says: /--shard/ },
    { argv: ['--service-address', 'IP'], says: /DNS, ClusterIP/ },
    { argv: ['--listen', '8080'], says: /--listen: '8080'/ },
    { argv: ['--log-level', 'loud'], says: /debug, info, warn, error/ },
    { argv: ['--runtime-image', ''], says: /--runtime-image: '' is not the name of an image/ },
    { argv: ['--runtime-image', 'a b'], says: /--runtime-image: 'a b' is not the name of an image/ },
    { argv: ['--kubeconfig', '/nowhere/at/all'], says: /\/nowhere\/at\/all: no such file/ },
  ];
  for (const { argv, says } of wrong) {
    it(`refuse ${argv.join(' ')}`, () => {
      assert.throws(
        () => readOperatorConfig([...image, ...argv]),
        (error) => error instanceof AppError && says.test(error.message),
      );
    });
  }

  const limits: readonly { argv: readonly string[]; workers: number; apiLimits: { qps: number; burst: number } }[] = [
    { argv: ['--workers', '7'], workers: 7, apiLimits: { qps: 0, burst: 1 } },
    { argv: ['--max-concurrent-reconciles', '32'], workers: 32, apiLimits: { qps: 0, burst: 1 } },
    { argv: ['--kube-api-qps', '50'], workers: 8, apiLimits: { qps: 50, burst: 100 } },
    { argv: ['--kube-api-qps', '50', '--kube-api-burst', '60'], workers: 8, apiLimits: { qps: 50, burst: 60 } },
  ];
  for (const { argv, workers, apiLimits } of limits) {
    it(`bound the work by ${argv.join(' ')}`, () => {
      const config = readOperatorConfig([...image, ...argv]);
      assert.ok(config !== 'help');
      assert.deepEqual([config.workers, config.apiLimits], [workers, apiLimits]);
    });
  }

  it('name a shard, counted from 0', () => {
    const config = readOperatorConfig([...image, '--shard', '2/3']);
    assert.ok(config !== 'help');
    assert.deepEqual(config.shard, { index: 2, of: 3 });
  });

  it('turn the health server off', () => {
    const config = readOperatorConfig([...image, '--listen', 'off']);
    assert.ok(config !== 'help' && config.listen === undefined);
  });

  it('accept an IPv6 address', () => {
    const config = readOperatorConfig([...image, '--listen', '[::1]:8083']);
    assert.ok(config !== 'help');
    assert.deepEqual(config.listen, { host: '::1', port: 8083 });
  });
});
