import assert from 'node:assert/strict';
import { Prober } from '../../../../local/kubelet/prober.ts';
import type { Container, Probe } from '../../../../local/kubelet/pod.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const startup: Probe = { exec: { command: ['startup'] }, periodSeconds: 1, failureThreshold: 3 };
const readiness: Probe = { exec: { command: ['readiness'] }, periodSeconds: 2, failureThreshold: 1 };
const liveness: Probe = {
  exec: { command: ['liveness'] },
  periodSeconds: 5,
  initialDelaySeconds: 3,
  failureThreshold: 2,
};

function probing(
  container: Partial<Container>,
  healthy: Record<string, boolean>,
): { clock: HandClock; told: string[]; prober: Prober } {
  const clock = new HandClock(0);
  const told: string[] = [];
  const tell = (what: string): void => void told.push(`${clock.now() / 1000}s ${what}`);
  const prober = new Prober(
    { name: 'c', image: 'i', ...container },
    {
      clock,
      ask: ({ exec }) =>
        Promise.resolve(healthy[exec?.command?.[0] ?? ''] === true ? { passed: true } : { passed: false, why: 'no' }),
      onChange: ({ started, ready }) => tell(`${started ? 'started' : 'starting'} ${ready ? 'ready' : 'unready'}`),
      onUnhealthy: (kind) => tell(`${kind} no`),
      onGaveUp: (kind) => tell(`${kind} gave up`),
    },
  );
  return { clock, told, prober };
}

describe('Prober', () => {
  it('is started and ready at once without probes', () => {
    const { prober } = probing({}, {});
    assert.deepEqual([prober.started, prober.ready], [true, true]);
  });

  it('probes readiness only after the startup probe passed', async () => {
    const healthy = { startup: false, readiness: true };
    const { clock, told } = probing({ startupProbe: startup, readinessProbe: readiness }, healthy);
    await clock.advance(1_000);
    healthy.startup = true;
    await clock.advance(3_000);
    assert.deepEqual(told, ['0s startup no', '1s startup no', '2s started unready', '2s started ready']);
  });

  it('gives up a container that does not start, and stops probing', async () => {
    const { clock, told } = probing({ startupProbe: startup, livenessProbe: liveness }, {});
    await clock.advance(20_000);
    assert.deepEqual(told, ['0s startup no', '1s startup no', '2s startup no', '2s startup gave up']);
  });

  it('runs the liveness probe by its delay and period', async () => {
    const { clock, told } = probing({ livenessProbe: liveness }, {});
    await clock.advance(8_000);
    assert.deepEqual(told, ['3s liveness no', '8s liveness no', '8s liveness gave up']);
  });

  it('reports only changes of readiness', async () => {
    const healthy = { readiness: true };
    const { clock, told } = probing({ readinessProbe: readiness }, healthy);
    await clock.advance(5_000);
    healthy.readiness = false;
    await clock.advance(2_000);
    assert.deepEqual(told, ['0s started ready', '6s readiness no', '6s started unready']);
  });

  it('stops probing when it is closed', async () => {
    const { clock, told, prober } = probing({ readinessProbe: readiness }, {});
    await clock.advance(0);
    prober.close();
    await clock.advance(10_000);
    assert.deepEqual(told, ['0s readiness no']);
  });
});
