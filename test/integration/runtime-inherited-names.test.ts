/**
 * Requests with names that every JavaScript object inherits, such as `constructor`, in every place where a request has
 * a name. The server answers as to any other unknown name: it ignores the name or answers with a 4xx, never with a 500.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { inheritedNames } from '../support/inherited-names.ts';
import { ask, inputOf, jsonOf, type Ask } from '../support/infer-client.ts';
import { endServers, startServer, type RunningServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

const infer = '/v2/models/m/infer';
const bodyOf = (value: unknown): Ask => ({ body: JSON.stringify(value) });
/** Write the body as JSON text: in an object literal, `__proto__` would set the prototype instead of a field. */
const field = (name: string, value: unknown): string =>
  `{${JSON.stringify(name)}:${JSON.stringify(value)},"inputs":[${JSON.stringify(inputOf([1, 2, 3, 4]))}]}`;

// prettier-ignore
const places: readonly { readonly where: string; readonly path?: (name: string) => string;
  readonly request: (name: string) => Ask; readonly status: number }[] = [
  { where: 'Content-Encoding', request: (name) =>
      ({ ...bodyOf({}), headers: { 'content-encoding': name } }), status: 400 },
  { where: 'a datatype', request: (name) => bodyOf({ inputs: [inputOf([1], { datatype: name })] }), status: 400 },
  { where: 'an input', request: (name) => bodyOf({ inputs: [inputOf([1, 2, 3, 4], { name })] }), status: 400 },
  { where: 'an output', request: (name) => bodyOf(
      { inputs: [inputOf([1, 2, 3, 4])], outputs: [{ name }] }), status: 400 },
  { where: 'a field of the request', request: (name) => ({ body: field(name, {}) }), status: 200 },
  { where: 'a parameter', request: (name) =>
      ({ body: field('parameters', 0).replace('"parameters":0',
      `"parameters":{${JSON.stringify(name)}:1}`) }), status: 200 },
  { where: 'a header', request: (name) => ({ ...bodyOf({ inputs: [inputOf([1, 2, 3, 4])] }),
      headers: { [`x-${name}`]: name } }), status: 200 },
  { where: 'a model', path: (name) => `/v2/models/${name}/infer`, request: () => bodyOf({}), status: 404 },
  { where: 'a version', path: (name) => `/v2/models/m/versions/${name}/infer`, request: () => bodyOf({}), status: 404 },
  { where: 'a call of the model', path: (name) => `/v2/models/m/${name}`, request: () => ({}), status: 404 },
  { where: 'a path', path: (name) => `/${name}`, request: () => ({}), status: 404 },
  { where: 'a query', path: (name) => `${infer}?${name}=${name}`,
    request: () => bodyOf({ inputs: [inputOf([1, 2, 3, 4])] }), status: 200 },
];

describe('names that every object inherits, in a request', () => {
  let running: RunningServer;
  before(async () => {
    running = await startServer({ model: matmul() });
  });
  after(endServers);

  for (const { where, path = () => infer, request, status } of places) {
    it(`are answered with ${status} as ${where}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...inheritedNames), async (name) => {
          const seen = await ask(running.url, path(name), request(name));
          assert.equal(seen.status, status, `${name}: ${seen.body.toString()}`);
        }),
        { numRuns: 20, seed: 1 },
      );
    });
  }

  it('do not change the prototype of objects, and the server stays healthy', async () => {
    assert.equal(Reflect.get({}, 'inputs'), undefined);
    assert.deepEqual(jsonOf(await ask(running.url, '/v2/health/ready')), { ready: true, live: true });
  });
});
