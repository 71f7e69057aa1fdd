/** Validation of custom objects (defaults, pruning, types, rules) and of definitions. */
import assert from 'node:assert/strict';
import type { Json } from './api.ts';
import { widgetDefinition } from './widget.ts';
import { ok, refused, type World } from './world.ts';

export function validationChapter(here: () => World): void {
  const create = (name: string, spec: Json, query = ''): ReturnType<World['api']['post']> =>
    here().api.post(`${here().widgets()}${query}`, {
      apiVersion: here().apiVersion,
      kind: 'Widget',
      metadata: { name },
      spec,
    });

  describe('defaults', () => {
    it('are filled in when their parent exists', async () => {
      assert.deepEqual(ok(await create('d-one', { size: 'small', nested: {}, parts: [{ name: 'p' }] }), 201).spec, {
        size: 'small',
        replicas: 1,
        nested: { a: 'x' },
        parts: [{ name: 'p', weight: 5 }],
      });
      assert.equal(ok(await create('d-two', { size: 'small' }), 201).spec.nested, undefined);
    });

    it('replace null', async () => {
      assert.deepEqual(ok(await create('d-null', { size: 'small', replicas: null, maybe: null }), 201).spec, {
        size: 'small',
        replicas: 1,
        maybe: null,
      });
    });
  });

  describe('unknown fields', () => {
    it('are refused by strict validation, each with its path', async () => {
      const status = refused(
        await create(
          'u-strict',
          { size: 'small', foo: 1, nested: { zz: 1 }, parts: [{ name: 'a', q: 1 }] },
          '?fieldValidation=Strict',
        ),
        400,
        'BadRequest',
      );
      assert.equal(
        status.message,
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.foo", ' +
          'unknown field "spec.nested.zz", unknown field "spec.parts[0].q"',
      );
    });

    it('given twice are refused by strict validation', async () => {
      const text =
        `{"apiVersion":"${here().apiVersion}","kind":"Widget","metadata":{"name":"u-twice"},` +
        '"spec":{"size":"small","size":"large"}}';
      const status = refused(
        await here().api.post(`${here().widgets()}?fieldValidation=Strict`, text),
        400,
        'BadRequest',
      );
      assert.equal(
        status.message,
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: duplicate field "spec.size"',
      );
    });

    it('are dropped with a warning otherwise', async () => {
      const answer = await create('u-warn', { size: 'small', foo: 1 });
      assert.equal(ok(answer, 201).spec.foo, undefined);
      assert.match(String(answer.headers['warning']), /^299 - "unknown field \\"spec\.foo\\""$/);
    });

    it('are dropped without a warning when they are ignored', async () => {
      const answer = await create('u-ignore', { size: 'small', foo: 1 }, '?fieldValidation=Ignore');
      assert.equal(ok(answer, 201).spec.foo, undefined);
      assert.equal(answer.headers['warning'], undefined);
    });

    it('are kept when the schema says so', async () => {
      assert.deepEqual(
        ok(await create('u-any', { size: 'small', any: { deep: [{ er: 1 }] } }, '?fieldValidation=Strict'), 201).spec
          .any,
        { deep: [{ er: 1 }] },
      );
    });

    it('of built-in objects are refused too', async () => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'u-pod' },
        spec: { foo: 1, containers: [{ name: 'c', image: 'x', zork: 1 }] },
      };
      const status = refused(
        await here().api.post(`${here().path('v1', 'pods')}?fieldValidation=Strict`, pod),
        400,
        'BadRequest',
      );
      assert.match(status.message, /^Pod in version "v1" cannot be handled as a Pod: strict decoding error: /);
      for (const path of ['spec.foo', 'spec.containers[0].zork'])
        assert.ok(status.message.includes(`unknown field "${path}"`), status.message);
    });
  });

  describe('validation', () => {
    // prettier-ignore
    const rows: readonly (readonly [name: string, spec: Json, cause: {
      reason: string; field: string; message: string }])[] = [
      ['a number that is too small', { size: 'small', replicas: -1 },
        { reason: 'FieldValueInvalid', field: 'spec.replicas',
        message: 'Invalid value: -1: spec.replicas in body should be greater than or equal to 0' }],
      ['a number that is too large', { size: 'small', replicas: 11 },
        { reason: 'FieldValueInvalid', field: 'spec.replicas',
        message: 'Invalid value: 11: spec.replicas in body should be less than or equal to 10' }],
      ['a word that is not allowed', { size: 'green' },
        { reason: 'FieldValueNotSupported', field: 'spec.size',
        message: 'Unsupported value: "green": supported values: "small", "large"' }],
      ['what is missing', { replicas: 2 }, { reason: 'FieldValueRequired',
        field: 'spec.size', message: 'Required value' }],
      ['another type', { size: 'small', replicas: 'x' },
        { reason: 'FieldValueTypeInvalid', field: 'spec.replicas',
        message: 'Invalid value: "string": spec.replicas in body must be of type integer: "string"' }],
      ['a fraction instead of an integer', { size: 'small', parts: [{ name: 'a', port: 1.5 }] },
        { reason: 'FieldValueTypeInvalid', field: 'spec.parts[0].port',
        message: 'Invalid value: "number": spec.parts[0].port in body must be of type integer,string: "number"' }],
      ['text that is too short', { size: 'small', note: 'a' },
        { reason: 'FieldValueInvalid', field: 'spec.note',
        message: 'Invalid value: "a": spec.note in body should be at least 2 chars long' }],
      ['text that is too long', { size: 'small', tags: ['abcdefghijk'] },
        { reason: 'FieldValueTooLong', field: 'spec.tags[0]', message: 'Too long: may not be more than 10 bytes' }],
      ['text of another shape', { size: 'small', note: 'ABC' },
        { reason: 'FieldValueInvalid', field: 'spec.note',
        message: "Invalid value: \"ABC\": spec.note in body should match '^[a-z]+$'" }],
      ['an invalid time', { size: 'small', when: 'soon' },
        { reason: 'FieldValueTypeInvalid', field: 'spec.when',
        message: 'Invalid value: "soon": spec.when in body must be of type date-time: "soon"' }],
      ['a list that is too long', { size: 'small', tags: ['a', 'b', 'c', 'd'] },
        { reason: 'FieldValueTooMany', field: 'spec.tags', message: 'Too many: 4: must have at most 3 items' }],
      ['a list that is too short', { size: 'small', tags: [] },
        { reason: 'FieldValueInvalid', field: 'spec.tags',
        message: 'Invalid value: 0: spec.tags in body should have at least 1 items' }],
      ['a map that is too large', { size: 'small', map: { a: '1', b: '2', c: '3', d: '4' } },
        { reason: 'FieldValueTooMany', field: 'spec.map', message: 'Too many: 4: must have at most 3 items' }],
      ['an entry of another type', { size: 'small', map: { a: 1 } },
        { reason: 'FieldValueTypeInvalid', field: 'spec.map.a',
        message: 'Invalid value: "integer": spec.map.a in body must be of type string: "integer"' }],
      ['an item of a set that is there twice', { size: 'small', tags: ['a', 'a'] },
        { reason: 'FieldValueDuplicate', field: 'spec.tags[1]', message: 'Duplicate value: "a"' }],
      ['an item of a map list that is there twice', { size: 'small', parts: [{ name: 'a' }, { name: 'a' }] },
        { reason: 'FieldValueDuplicate', field: 'spec.parts[1]', message: 'Duplicate value: {"name":"a"}' }],
      ['a violated rule', { size: 'large' },
        { reason: 'FieldValueInvalid', field: 'spec', message: 'Invalid value: large ones need replicas' }],
      ['a rule of a list, at its own path', { size: 'small', steps: [{ weight: 5 }, { pause: true }, { weight: 1 }] },
        { reason: 'FieldValueInvalid', field: 'spec.steps', message: 'Invalid value: weights never decrease' }],
      ['a rule with its own message and reason', { size: 'small', note: 'bad' },
        { reason: 'FieldValueForbidden', field: 'spec', message: 'Forbidden: note is bad' }],
      ['a quantity that is too small', { size: 'small', memory: '1Ki' },
        { reason: 'FieldValueInvalid', field: 'spec.memory', message: 'Invalid value: "1Ki": memory is too small' }],
    ];
    for (const [index, [name, spec, cause]] of rows.entries()) {
      it(`refuses ${name}`, async () => {
        const status = refused(await create(`v-${index}`, spec), 422, 'Invalid');
        assert.deepEqual(
          status.details.causes.find((one: Json) => one.field === cause.field),
          cause,
          JSON.stringify(status.details.causes),
        );
        assert.ok(status.message.startsWith(`Widget.${here().group} "v-${index}" is invalid: `), status.message);
        assert.ok(status.message.includes(`${cause.field}: ${cause.message}`), status.message);
        assert.deepEqual(
          [status.details.name, status.details.group, status.details.kind],
          [`v-${index}`, here().group, 'Widget'],
        );
      });
    }

    it('prints a single cause without brackets', async () => {
      const status = refused(await create('v-bare', { size: 'large' }), 422, 'Invalid');
      assert.equal(
        status.message,
        `Widget.${here().group} "v-bare" is invalid: spec: Invalid value: large ones need replicas`,
      );
    });

    it('reports that rules were not run on an invalid object', async () => {
      const status = refused(await create('v-broken', { replicas: 1 }), 422, 'Invalid');
      assert.ok(
        status.details.causes.some(
          (one: Json) =>
            one.field === '<nil>' &&
            one.message.includes('some validation rules were not checked because the object was invalid'),
        ),
      );
    });

    it('accepts a quantity that is large enough', async () => {
      ok(await create('v-memory', { size: 'small', memory: '2Gi' }), 201);
    });

    it('checks a transition rule only on update', async () => {
      ok(await create('v-frozen', { size: 'small' }), 201);
      const patch = (frozen: string): ReturnType<World['api']['patch']> =>
        here().api.patch(here().widgets('v-frozen'), 'merge', { spec: { frozen } });
      ok(await patch('abc'));
      assert.equal(
        refused(await patch('abd'), 422, 'Invalid').details.causes[0].message,
        'Invalid value: "abd": frozen may not change',
      );
    });

    it('of a name names the rule', async () => {
      const status = refused(await create('E_x', { size: 'small' }), 422, 'Invalid');
      assert.match(
        status.message,
        /metadata\.name: Invalid value: "E_x": a lowercase RFC 1123 subdomain must consist of/,
      );
    });

    it('of labels names the key', async () => {
      const status = refused(
        await here().api.post(here().widgets(), here().widget('v-label', {}, { labels: { 'a b': 'c' } })),
        422,
        'Invalid',
      );
      assert.match(status.message, /metadata\.labels: Invalid value: "a b": name part must consist of/);
    });

    it('needs the kind and the version', async () => {
      assert.match(
        refused(await here().api.post(here().widgets(), { metadata: { name: 'x' } }), 400, 'BadRequest').message,
        /Object 'Kind' is missing in/,
      );
      assert.equal(
        refused(
          await here().api.post(here().widgets(), { ...here().widget('x'), apiVersion: `${here().group}/v2` }),
          400,
          'BadRequest',
        ).message,
        `the API version in the data (${here().group}/v2) does not match the expected API version ` +
          `(${here().apiVersion})`,
      );
    });

    it('needs JSON', async () => {
      const status = refused(await here().api.post(here().widgets(), '{"a":'), 400, 'BadRequest');
      assert.match(status.message, /json parse error: unexpected end of JSON input/);
    });

    it('needs a body that it can read', async () => {
      refused(await here().api.post(here().widgets(), 'x', { type: 'text/plain' }), 415, 'UnsupportedMediaType');
    });

    it('accepts unchanged fields that were valid before', async () => {
      const group = `r${here().suffix}.example.com`;
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions`;
      const schema = (most: number): Json => ({
        type: 'object',
        properties: { size: { type: 'string' }, note: { type: 'string', maxLength: most } },
      });
      const widgets = `/apis/${group}/v1/namespaces/${here().namespace}/widgets`;
      ok(await here().api.post(path, widgetDefinition(group, schema(10))), 201);
      try {
        const widget = {
          apiVersion: `${group}/v1`,
          kind: 'Widget',
          metadata: { name: 'old' },
          spec: { size: 'a', note: 'abcdefgh' },
        };
        await untilServed(() => here().api.post(widgets, widget), 201);
        ok(await here().api.patch(`${path}/widgets.${group}`, 'merge', widgetDefinition(group, schema(3))));
        await untilServed(
          () => here().api.post(`${widgets}?dryRun=All`, { ...widget, metadata: { name: 'new' } }),
          422,
        );
        ok(await here().api.patch(`${widgets}/old`, 'merge', { spec: { size: 'b' } }));
        refused(await here().api.patch(`${widgets}/old`, 'merge', { spec: { note: 'abcdefghi' } }), 422, 'Invalid');
      } finally {
        await here().api.delete(`${path}/widgets.${group}`);
      }
    });
  });

  describe('definitions', () => {
    const post = (schema: Json): ReturnType<World['api']['post']> => {
      const definition = widgetDefinition(`d${here().suffix}.example.com`);
      definition.spec.versions[0].schema.openAPIV3Schema = schema;
      delete definition.spec.versions[0].subresources.scale;
      return here().api.post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All', definition);
    };
    // prettier-ignore
    const rows: readonly (readonly [name: string, schema: Json, field: string, message: RegExp])[] = [
      ['without a type', { properties: {} }, 'spec.validation.openAPIV3Schema.type', /must not be empty at the root/],
      ['with a field without a type', { type: 'object', properties: { a: {} } },
        'spec.validation.openAPIV3Schema.properties[a].type', /must not be empty for specified object fields/],
      ['with a list without items', { type: 'object', properties: { a: { type: 'array' } } },
        'spec.validation.openAPIV3Schema.properties[a].items', /must be specified/],
      ['with a rule about an unknown field', { type: 'object',
        properties: { a: { type: 'object', properties: { b: { type: 'string' } },
          'x-kubernetes-validations': [{ rule: 'self.c == 1' }] } } },
        'spec.validation.openAPIV3Schema.properties[a].x-kubernetes-validations[0].rule', /undefined field 'c'/],
      ['with an unknown function', { type: 'object',
        properties: { a: { type: 'string', maxLength: 5, 'x-kubernetes-validations': [{ rule: 'self.bogus()' }] } } },
        'spec.validation.openAPIV3Schema.properties[a].x-kubernetes-validations[0].rule', /compilation failed/],
      ['with a rule that is not a boolean', { type: 'object',
        properties: { a: { type: 'object', properties: { b: { type: 'string', maxLength: 5 } },
          'x-kubernetes-validations': [{ rule: "'x' + 'y'" }] } } },
        'spec.validation.openAPIV3Schema.properties[a].x-kubernetes-validations[0].rule', /must evaluate to a bool/],
      ['with a rule below unbounded lists', { type: 'object',
        properties: { a: { type: 'array', items: { type: 'array',
          items: { type: 'string', 'x-kubernetes-validations': [{ rule: "self.matches('a')" }] } } } } },
        'spec.validation.openAPIV3Schema.properties[a].items.items.x-kubernetes-validations[0].rule',
        /estimated rule cost exceeds budget/],
      ['with optional keys', { type: 'object',
        properties: { a: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'],
          items: { type: 'object', properties: { k: { type: 'string' } } } } } },
        'spec.validation.openAPIV3Schema.properties[a].items.properties[k].default',
        /must have a default or be a required property/],
      ['with properties beside additionalProperties', { type: 'object',
        properties: { a: { type: 'object', properties: { b: { type: 'string' } },
          additionalProperties: { type: 'string' } } } },
        'spec.validation.openAPIV3Schema.properties[a].additionalProperties', /mutual exclusive/],
    ];
    for (const [name, schema, field, message] of rows) {
      it(`are refused ${name}`, async () => {
        const status = refused(await post(schema), 422, 'Invalid');
        const cause = status.details.causes.find((one: Json) => one.field === field);
        assert.match(cause?.message ?? JSON.stringify(status.details.causes), message);
      });
    }

    it('report when they are served', async () => {
      const definition = ok(
        await here().api.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.${here().group}`),
      );
      const conditions = Object.fromEntries(definition.status.conditions.map((one: Json) => [one.type, one.status]));
      assert.deepEqual(
        [conditions['Established'], conditions['NamesAccepted'], definition.status.storedVersions],
        ['True', 'True', ['v1']],
      );
      assert.deepEqual(
        [definition.spec.names.listKind, definition.spec.conversion],
        ['WidgetList', { strategy: 'None' }],
      );
    });
  });

  async function untilServed(call: () => ReturnType<World['api']['post']>, status: number): Promise<void> {
    const until = performance.now() + 20_000;
    for (;;) {
      const answer = await call();
      if (answer.status === status) return;
      assert.ok(performance.now() < until, answer.text);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
