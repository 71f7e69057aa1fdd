/** When the results of startup, readiness and liveness probes change the state of a container. */
import assert from 'node:assert/strict';
import {
  countAnswer,
  firstProbeInMs,
  initialProbeState,
  timingOf,
  type ProbeKind,
} from '../../../../local/kubelet/probe-state.ts';
import type { Probe } from '../../../../local/kubelet/pod.ts';

/**
 * Feeds a sequence of results (`+` success, `-` failure) to a probe. Returns the state after each result: `P` passing,
 * `.` not passing, `!` given up.
 */
function story(kind: ProbeKind, answers: string, probe: Probe = {}): string {
  let state = initialProbeState(kind);
  let text = '';
  for (const answer of answers) {
    const { gaveUp, ...next } = countAnswer(kind, state, answer === '+', timingOf(kind, probe));
    state = next;
    text += gaveUp ? '!' : next.passing ? 'P' : '.';
  }
  return text;
}

describe('countAnswer', () => {
  const rows: readonly { name: string; kind: ProbeKind; probe?: Probe; answers: string; want: string }[] = [
    { name: 'is ready at the first success', kind: 'readiness', answers: '-+', want: '.P' },
    { name: 'is unready at the third failure in a row', kind: 'readiness', answers: '+--+---', want: 'PPPPPP.' },
    {
      name: 'needs successThreshold successes',
      kind: 'readiness',
      probe: { successThreshold: 2, failureThreshold: 1 },
      answers: '+-++-+',
      want: '...P..',
    },
    { name: 'is alive until the third failure in a row', kind: 'liveness', answers: '--+--', want: 'PPPPP' },
    { name: 'gives up a container at the third failure in a row', kind: 'liveness', answers: '---', want: 'PP!' },
    { name: 'waits for the startup probe', kind: 'startup', answers: '--+', want: '..P' },
    {
      name: 'gives up a container that does not start',
      kind: 'startup',
      probe: { failureThreshold: 4 },
      answers: '----',
      want: '...!',
    },
  ];
  for (const { name, kind, probe, answers, want } of rows)
    it(name, () => assert.equal(story(kind, answers, probe), want));
});

describe('firstProbeInMs', () => {
  const timing = timingOf('readiness', { initialDelaySeconds: 5 });
  it('counts the delay from the start of the container', () => assert.equal(firstProbeInMs(timing, 2_000), 3_000));
  it('probes at once when the delay is over', () => assert.equal(firstProbeInMs(timing, 9_000), 0));
});

describe('timingOf', () => {
  it('has the defaults of the API', () => {
    assert.deepEqual(timingOf('readiness', {}), {
      initialDelayMs: 0,
      periodMs: 10_000,
      timeoutMs: 1_000,
      successThreshold: 1,
      failureThreshold: 3,
    });
  });
});
