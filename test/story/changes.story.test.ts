/**
 * A change that is as good, one that is slow and one that is wrong: what README.md shows, told by the operator's own judge.
 *
 * Three pods behind a route, 1,000 requests a minute of which 2 in 1,000 fail, half an hour of history, and of `rollout` the
 * strategy alone. A line for each change of the phase, of the shares, and of what the status says but for its numbers.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { HttpRoute, Pod } from '../../operator/kube-objects.ts';
import { labels } from '../../api/names.ts';
import { CanaryWorld } from '../support/canary-world.ts';
import { assertGolden } from '../support/golden.ts';

const spec = (file: string): OnnxModelSpec => ({
  model: { uri: `https://models.example/${file}` }, replicas: 3, traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'gateway' }] }, rollout: { strategy: 'Canary' },
});
const halfAnHourS = 1800;

type Change = { readonly name: string; readonly golden: string; readonly file: string; readonly outcome: string };
const changes: readonly Change[] = [
  { name: 'as good as stable is promoted', golden: 'a-change-that-is-as-good', file: 'ok-second-errors0.2', outcome: 'Promoted' },
  { name: 'slower by half is taken back', golden: 'a-change-that-is-slow', file: 'ok-x1.5-errors0.2', outcome: 'RolledBack' },
  { name: 'whose answers are others gets no traffic', golden: 'a-change-that-is-wrong', file: 'odd', outcome: 'Failed' },
];

class Teller {
  readonly world = new CanaryWorld({ perMinute: 1000, seed: 1 });
  readonly lines: string[] = [];
  #beganS = 0;
  #seconds = 0;
  #shape = '';

  put(file: string): void {
    this.world.cluster.put(spec(file));
    this.lines.length = 0;
    this.#beganS = this.#seconds;
    this.#shape = '';
  }

  async live(seconds: number, isOver: () => boolean = () => false): Promise<void> {
    for (const end = this.#seconds + seconds; this.#seconds < end && !isOver(); this.#seconds += 5) {
      await this.world.tick();
      this.#note();
    }
  }

  #note(): void {
    const { phase = '', rollout, message } = this.world.cluster.status;
    const where = `${phase.padEnd(9)}  ${this.#shares().padEnd(13)}`;
    const shape = `${where} ${rollout?.reason} ${message?.replaceAll(/[0-9.,%]+/g, '#')}`;
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.lines.push(this.#named(`${clockOf(this.#seconds - this.#beganS)}  ${where}  pods ${this.#pods().padEnd(13)}  ${rollout?.reason}: ${message}`));
  }

  #shares(): string {
    const route = this.world.cluster.objects.get('HTTPRoute/ranker') as HttpRoute | undefined;
    return (route?.spec?.rules?.[0]?.backendRefs ?? []).filter(({ weight }) => weight !== 0).map(({ name, weight }) => this.#named(`${name.slice('ranker-'.length)} ${weight}%`)).join(' ');
  }

  #pods(): string {
    const pods = this.world.cluster.of<Pod>('Pod');
    const revisions = [...new Set(pods.map((pod) => pod.metadata.labels?.[labels.revision] ?? ''))];
    return revisions.map((revision) => this.#named(`${revision} ${this.world.cluster.readyPods(revision)}/${pods.filter((pod) => pod.metadata.labels?.[labels.revision] === revision).length}`)).join(' ');
  }

  /** v1 is what served, v2 the change. */
  #named(text: string): string {
    const { stable, candidate, history = [] } = this.world.cluster.status;
    const first = history.at(-1)?.revision ?? stable?.revision;
    const second = [candidate?.revision, stable?.revision].find((revision) => revision !== undefined && revision !== first);
    return [[first, 'v1'], [second, 'v2']].reduce((line, [revision, name]) => (revision === undefined ? line : line.replaceAll(revision, name ?? '')), text);
  }
}

/** 5:05, of minutes and seconds. */
function clockOf(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`.padStart(5);
}

describe('A change', () => {
  for (const { name, golden, file, outcome } of changes) {
    it(name, async () => {
      const teller = new Teller();
      const { cluster } = teller.world;
      teller.put('ok-first-errors0.2');
      await teller.live(halfAnHourS);
      teller.put(file);
      await teller.live(7200, () => cluster.status.history?.length === 2 && ['Failed', 'Settling'].includes(cluster.status.phase ?? ''));
      assertGolden(`story/${golden}.golden`, `${teller.lines.join('\n')}\n`);
      assert.equal(cluster.status.history?.[0]?.outcome, outcome, teller.lines.join('\n'));
    }).timeout(120_000);
  }
});
