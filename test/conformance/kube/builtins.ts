/**
 * The built-in objects that the operator and its users write: Leases, Events, ControllerRevisions, workloads, Services
 * and the scale subresource.
 */
import assert from 'node:assert/strict';
import type { Json } from './api.ts';
import { ok, refused, type World } from './world.ts';

export function builtinChapter(here: () => World): void {
  const kinds = {
    Lease: ['coordination.k8s.io/v1', 'leases'],
    ControllerRevision: ['apps/v1', 'controllerrevisions'],
    Deployment: ['apps/v1', 'deployments'],
    Pod: ['v1', 'pods'],
    Service: ['v1', 'services'],
    Secret: ['v1', 'secrets'],
    ConfigMap: ['v1', 'configmaps'],
    Event: ['v1', 'events'],
    NewEvent: ['events.k8s.io/v1', 'events'],
  } as const;
  const post = (kind: keyof typeof kinds, name: string, body: Json): ReturnType<World['api']['post']> => {
    const [apiVersion, plural] = kinds[kind];
    return here().api.post(here().path(apiVersion, plural), {
      apiVersion,
      kind: kind.replace('New', ''),
      metadata: { name },
      ...body,
    });
  };

  describe('Leases', () => {
    const lease = (name: string, spec: Json): ReturnType<World['api']['post']> => post('Lease', name, { spec });
    const path = (name: string): string => here().path('coordination.k8s.io/v1', 'leases', name);

    it('keep their times to six digits', async () => {
      const made = ok(
        await lease('times', {
          holderIdentity: 'a',
          renewTime: '2026-01-01T00:00:00.123456Z',
          leaseDurationSeconds: 15,
        }),
        201,
      );
      assert.equal(made.spec.renewTime, '2026-01-01T00:00:00.123456Z');
    });

    it('refuse another number of digits', async () => {
      const status = refused(await lease('digits', { renewTime: '2026-01-01T00:00:00.123Z' }), 400, 'BadRequest');
      assert.match(
        status.message,
        new RegExp(
          '^Lease in version "v1" cannot be handled as a Lease: parsing time ' +
            String.raw`"2026-01-01T00:00:00\.123Z" as "2006-01-02T15:04:05\.000000Z07:00": cannot parse`,
        ),
      );
    });

    it('change hands for only one of two writers', async () => {
      const made = ok(await lease('hands', { holderIdentity: 'a' }), 201);
      const take = (holderIdentity: string): ReturnType<World['api']['put']> =>
        here().api.put(path('hands'), { ...made, spec: { holderIdentity } });
      const answers = await Promise.all([take('b'), take('c')]);
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200, 409]));
    });

    it('cannot be updated without their resourceVersion', async () => {
      ok(await lease('version', { holderIdentity: 'a' }), 201);
      refused(
        await here().api.put(path('version'), {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: 'version' },
          spec: { holderIdentity: 'b' },
        }),
        422,
        'Invalid',
      );
    });

    it('must have a positive duration', async () => {
      const status = refused(await lease('short', { leaseDurationSeconds: 0 }), 422, 'Invalid');
      assert.match(status.message, /spec\.leaseDurationSeconds: Invalid value: 0: must be greater than 0/);
    });
  });

  describe('Events', () => {
    const involved = (): Json => ({
      apiVersion: here().apiVersion,
      kind: 'Widget',
      name: 'w',
      namespace: here().namespace,
      uid: 'u',
    });

    it('of the core API are visible in the newer one', async () => {
      ok(
        await post('Event', 'old-style', {
          involvedObject: involved(),
          reason: 'Tested',
          message: 'hello',
          type: 'Normal',
          count: 2,
          source: { component: 'c' },
          firstTimestamp: '2026-01-01T00:00:00Z',
          lastTimestamp: '2026-01-01T00:00:01Z',
        }),
        201,
      );
      const shown = ok(await here().api.get(here().path('events.k8s.io/v1', 'events', 'old-style')));
      assert.deepEqual(
        [shown.note, shown.regarding, shown.deprecatedCount, shown.deprecatedSource],
        ['hello', involved(), 2, { component: 'c' }],
      );
    });

    it('of the newer API are visible in the core one', async () => {
      ok(
        await post('NewEvent', 'new-style', {
          regarding: involved(),
          reason: 'Tested',
          note: 'hello',
          type: 'Warning',
          action: 'Testing',
          eventTime: '2026-01-01T00:00:00.123456Z',
          reportingController: 'example.com/c',
          reportingInstance: 'i',
        }),
        201,
      );
      const shown = ok(await here().api.get(here().path('v1', 'events', 'new-style')));
      assert.deepEqual(
        [shown.message, shown.involvedObject, shown.eventTime, shown.reportingComponent],
        ['hello', involved(), '2026-01-01T00:00:00.123456Z', 'example.com/c'],
      );
    });

    it('can count up a series', async () => {
      ok(
        await post('NewEvent', 'series', {
          regarding: involved(),
          reason: 'Tested',
          note: 'hello',
          type: 'Normal',
          action: 'Testing',
          eventTime: '2026-01-01T00:00:00.000000Z',
          reportingController: 'example.com/c',
          reportingInstance: 'i',
        }),
        201,
      );
      const patched = ok(
        await here().api.patch(here().path('events.k8s.io/v1', 'events', 'series'), 'merge', {
          series: { count: 2, lastObservedTime: '2026-01-01T00:00:05.000000Z' },
        }),
      );
      assert.deepEqual(patched.series, { count: 2, lastObservedTime: '2026-01-01T00:00:05.000000Z' });
    });

    it('have more required fields in the newer API', async () => {
      const status = refused(await post('NewEvent', 'silent', { regarding: involved(), reason: 'R' }), 422, 'Invalid');
      assert.match(status.message, /eventTime: Required value/);
    });

    it('are selected by the object that they are about', async () => {
      const selector = encodeURIComponent(
        `involvedObject.name=w,involvedObject.kind=Widget,reason=Tested,type=Warning`,
      );
      const list = ok(await here().api.get(`${here().path('v1', 'events')}?fieldSelector=${selector}`));
      assert.deepEqual(
        list.items.map((item: Json) => item.metadata.name),
        ['new-style'],
      );
    });

    it('must be in the namespace of the object that they are about', async () => {
      const status = refused(
        await post('Event', 'astray', {
          involvedObject: { ...involved(), namespace: 'other' },
          reason: 'R',
          message: 'm',
        }),
        422,
        'Invalid',
      );
      assert.match(
        status.message,
        /involvedObject\.namespace: Invalid value: "other": does not match event\.namespace/,
      );
    });
  });

  describe('ControllerRevisions', () => {
    const path = (): string => here().path('apps/v1', 'controllerrevisions', 'rev');

    it('never change their data', async () => {
      const made = ok(await post('ControllerRevision', 'rev', { revision: 1, data: { a: { b: [1] } } }), 201);
      assert.deepEqual(made.data, { a: { b: [1] } });
      const status = refused(await here().api.put(path(), { ...made, data: { a: 2 } }), 422, 'Invalid');
      assert.equal(
        status.message,
        'ControllerRevision.apps "rev" is invalid: data: Invalid value: {"a":2}: field is immutable',
      );
    });

    it('change their revision and annotations', async () => {
      const patched = ok(
        await here().api.patch(path(), 'merge', { revision: 2, metadata: { annotations: { a: 'b' } } }),
      );
      assert.deepEqual(
        [patched.revision, patched.metadata.annotations, patched.data],
        [2, { a: 'b' }, { a: { b: [1] } }],
      );
    });

    it('compare their data as encoded text; apply sorts it', async () => {
      const data = { z: { b: 1, a: [2] }, empty: {} };
      const written = here().path('apps/v1', 'controllerrevisions', 'written');
      ok(await post('ControllerRevision', 'written', { revision: 1, data }), 201);
      ok(await here().api.patch(written, 'merge', { metadata: { annotations: { a: 'b' } } }));
      refused(await here().api.patch(written, 'strategic', { metadata: { annotations: { a: 'c' } } }), 422, 'Invalid');
      const applied = here().path('apps/v1', 'controllerrevisions', 'applied');
      const apply = (annotations: Json): ReturnType<World['api']['patch']> =>
        here().api.patch(`${applied}?fieldManager=op`, 'apply', {
          apiVersion: 'apps/v1',
          kind: 'ControllerRevision',
          metadata: { name: 'applied', annotations },
          revision: 1,
          data,
        });
      const made = ok(await apply({ a: 'b' }), 201);
      assert.equal(JSON.stringify(made.data), '{"empty":{},"z":{"a":[2],"b":1}}');
      assert.deepEqual(ok(await apply({ a: 'c' })).metadata.annotations, { a: 'c' });
      ok(await here().api.patch(applied, 'merge', { metadata: { annotations: { b: 'd' } } }));
      refused(
        await here().api.put(applied, {
          apiVersion: 'apps/v1',
          kind: 'ControllerRevision',
          metadata: { name: 'applied' },
          revision: 1,
          data,
        }),
        422,
        'Invalid',
      );
    });

    it('have data', async () => {
      assert.match(
        refused(await post('ControllerRevision', 'empty', { revision: 1 }), 422, 'Invalid').message,
        /data: Required value: data is mandatory/,
      );
    });
  });

  describe('workloads', () => {
    const template = {
      metadata: { labels: { a: 'b' } },
      spec: {
        containers: [
          {
            name: 'c',
            image: 'r/x:1',
            ports: [{ containerPort: 80 }],
            readinessProbe: { httpGet: { port: 80 } },
            resources: { limits: { memory: '1024Mi', cpu: '1000m' } },
          },
        ],
        volumes: [{ name: 'v', configMap: { name: 'm' } }],
      },
    };
    const deployment = (name: string, spec: Json = {}): ReturnType<World['api']['post']> =>
      post('Deployment', name, { spec: { replicas: 0, selector: { matchLabels: { a: 'b' } }, template, ...spec } });

    it('are filled in', async () => {
      const { spec } = ok(await deployment('filled'), 201);
      const [container] = spec.template.spec.containers;
      assert.deepEqual(
        [spec.revisionHistoryLimit, spec.progressDeadlineSeconds, spec.strategy],
        [10, 600, { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } }],
      );
      assert.deepEqual(
        [
          container.imagePullPolicy,
          container.terminationMessagePath,
          container.terminationMessagePolicy,
          container.ports,
        ],
        ['IfNotPresent', '/dev/termination-log', 'File', [{ containerPort: 80, protocol: 'TCP' }]],
      );
      assert.deepEqual(container.readinessProbe, {
        httpGet: { path: '/', port: 80, scheme: 'HTTP' },
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      });
      assert.deepEqual(container.resources, { limits: { memory: '1Gi', cpu: '1' } });
      const { containers: _containers, volumes, ...pod } = spec.template.spec;
      assert.deepEqual(
        [volumes, pod],
        [
          [{ name: 'v', configMap: { name: 'm', defaultMode: 420 } }],
          {
            dnsPolicy: 'ClusterFirst',
            restartPolicy: 'Always',
            schedulerName: 'default-scheduler',
            securityContext: {},
            terminationGracePeriodSeconds: 30,
          },
        ],
      );
    });

    it('get a new generation for an annotation, and not for a label', async () => {
      ok(await deployment('aged'), 201);
      const path = here().path('apps/v1', 'deployments', 'aged');
      const generation = async (metadata: Json): Promise<number> =>
        ok(await here().api.patch(path, 'merge', { metadata })).metadata.generation;
      assert.deepEqual(
        [
          await generation({ labels: { l: '1' } }),
          await generation({ annotations: { a: '1' } }),
          await generation({ annotations: { a: '1' } }),
        ],
        [1, 2, 2],
      );
    });

    it('keep their selector', async () => {
      ok(await deployment('selected'), 201);
      const status = refused(
        await here().api.patch(here().path('apps/v1', 'deployments', 'selected'), 'merge', {
          spec: { selector: { matchLabels: { a: 'c' } }, template: { metadata: { labels: { a: 'c' } } } },
        }),
        422,
        'Invalid',
      );
      assert.match(status.message, /spec\.selector: Invalid value: \{"matchLabels":\{"a":"c"\}\}: field is immutable/);
    });

    it('select the pods they make', async () => {
      const status = refused(await deployment('astray', { selector: { matchLabels: { a: 'z' } } }), 422, 'Invalid');
      assert.match(
        status.message,
        /spec\.template\.metadata\.labels: Invalid value: \{"a":"b"\}: `selector` does not match template `labels`/,
      );
    });

    it("are refused with a wrong type, with the decoder's message", async () => {
      const status = refused(await deployment('typed', { replicas: 'x' }), 400, 'BadRequest');
      assert.equal(
        status.message,
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go ' +
          'struct field DeploymentSpec.spec.replicas of type int32',
      );
    });

    it('are refused with an invalid quantity', async () => {
      const broken = structuredClone(template);
      broken.spec.containers[0]!.resources.limits.memory = '1Zi';
      assert.match(
        refused(await deployment('quantity', { template: broken }), 400, 'BadRequest').message,
        /quantities must match the regular expression/,
      );
    });

    it('scale by their scale subresource', async () => {
      ok(
        await deployment('scaled', { template: { ...template, spec: { ...template.spec, schedulerName: 'absent' } } }),
        201,
      );
      const path = here().path('apps/v1', 'deployments', 'scaled');
      const before = ok(await here().api.get(`${path}/scale`));
      assert.deepEqual(
        [before.kind, before.apiVersion, before.spec, before.status.selector],
        ['Scale', 'autoscaling/v1', {}, 'a=b'],
      );
      const after = ok(await here().api.patch(`${path}/scale`, 'merge', { spec: { replicas: 1 } }));
      assert.deepEqual(after.spec, { replicas: 1 });
      const scaled = ok(await here().api.get(path));
      assert.deepEqual([scaled.spec.replicas, scaled.metadata.generation], [1, 2]);
      ok(await here().api.delete(path));
    });

    it('of pods are defaulted too', async () => {
      const { spec, status } = ok(
        await post('Pod', 'filled', {
          spec: {
            schedulerName: 'absent',
            containers: [{ name: 'c', image: 'x', resources: { limits: { memory: '1Gi' } } }],
          },
        }),
        201,
      );
      assert.deepEqual(
        [
          spec.containers[0].imagePullPolicy,
          spec.containers[0].resources,
          spec.enableServiceLinks,
          spec.serviceAccountName,
        ],
        ['Always', { limits: { memory: '1Gi' }, requests: { memory: '1Gi' } }, true, 'default'],
      );
      assert.deepEqual([status.phase, status.qosClass], ['Pending', 'Burstable']);
    });
  });

  describe('Services', () => {
    const service = (name: string, spec: Json): ReturnType<World['api']['post']> => post('Service', name, { spec });

    it('get an address and defaults', async () => {
      const { spec, status } = ok(await service('addressed', { selector: { a: 'b' }, ports: [{ port: 80 }] }), 201);
      assert.match(spec.clusterIP, /^\d+\.\d+\.\d+\.\d+$/);
      assert.deepEqual(
        [
          spec.clusterIPs,
          spec.type,
          spec.sessionAffinity,
          spec.internalTrafficPolicy,
          spec.ipFamilies,
          spec.ipFamilyPolicy,
        ],
        [[spec.clusterIP], 'ClusterIP', 'None', 'Cluster', ['IPv4'], 'SingleStack'],
      );
      assert.deepEqual([spec.ports, status], [[{ port: 80, protocol: 'TCP', targetPort: 80 }], { loadBalancer: {} }]);
    });

    it('keep their address', async () => {
      const { spec } = ok(await service('kept', { ports: [{ port: 80 }] }), 201);
      const path = here().path('v1', 'services', 'kept');
      assert.equal(
        ok(
          await here().api.put(path, {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'kept' },
            spec: { ports: [{ port: 81 }] },
          }),
        ).spec.clusterIP,
        spec.clusterIP,
      );
      const other = spec.clusterIP.replace(/\d+$/, (last: string) => String((Number(last) % 200) + 5));
      assert.match(
        refused(
          await here().api.patch(path, 'merge', { spec: { clusterIP: other, clusterIPs: [other] } }),
          422,
          'Invalid',
        ).message,
        /spec\.clusterIPs\[0\]: Invalid value: .*: may not change once set/,
      );
    });

    it('may be headless', async () => {
      const { spec } = ok(await service('headless', { clusterIP: 'None', selector: { a: 'b' } }), 201);
      assert.deepEqual([spec.clusterIP, spec.clusterIPs], ['None', ['None']]);
    });

    it('have a port', async () => {
      assert.match(
        refused(await service('portless', { selector: { a: 'b' } }), 422, 'Invalid').message,
        /spec\.ports: Required value/,
      );
    });
  });

  describe('ConfigMaps and Secrets', () => {
    it('accept plain text for a Secret and store base64', async () => {
      const made = ok(await post('Secret', 'plain', { stringData: { a: 'b' } }), 201);
      assert.deepEqual([made.data, made.stringData, made.type], [{ a: 'Yg==' }, undefined, 'Opaque']);
    });

    it('cannot change once they are immutable', async () => {
      ok(await post('ConfigMap', 'fixed', { immutable: true, data: { a: 'b' } }), 201);
      refused(
        await here().api.patch(here().path('v1', 'configmaps', 'fixed'), 'merge', { data: { a: 'c' } }),
        422,
        'Invalid',
      );
      ok(
        await here().api.patch(here().path('v1', 'configmaps', 'fixed'), 'merge', { metadata: { labels: { a: 'c' } } }),
      );
    });
  });

  describe('scale of a custom resource', () => {
    it('reads and writes the paths of its definition', async () => {
      const made = await here().createWidget('scale', { replicas: 2 });
      ok(await here().api.patch(here().widgets('scale/status'), 'merge', { status: { replicas: 1, selector: 'a=b' } }));
      const scale = ok(await here().api.get(here().widgets('scale/scale')));
      assert.deepEqual(
        [scale.spec, scale.status, scale.metadata.uid],
        [{ replicas: 2 }, { replicas: 1, selector: 'a=b' }, made.metadata.uid],
      );
      assert.deepEqual(
        ok(await here().api.put(here().widgets('scale/scale'), { ...scale, spec: { replicas: 3 } })).spec,
        { replicas: 3 },
      );
      assert.equal(ok(await here().api.get(here().widgets('scale'))).spec.replicas, 3);
      refused(
        await here().api.put(here().widgets('scale/scale'), { ...scale, spec: { replicas: 4 } }),
        409,
        'Conflict',
      );
      refused(
        await here().api.patch(here().widgets('scale/scale'), 'merge', { spec: { replicas: -1 } }),
        422,
        'Invalid',
      );
    });
  });
}
