/**
 * The examples of README.md, judged by the operator's own judge: a change that is as good as the serving revision
 * (stable), a slow one and a wrong one. There are two pods behind a route, 1,000 requests per minute, of which 0.2 %
 * fail, and half an hour before the change. Only `strategy` is set in `rollout`. The text has one line for each lasting
 * change of phase, share or reason, and at least one line every 3 min.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { HttpRoute } from '../../kube/kinds.ts';
import { CanaryWorld } from '../support/canary-world.ts';
import { assertGolden, assertQuoted } from '../support/golden.ts';

const spec = (file: string): OnnxModelSpec => ({
  model: { uri: `https://models.example/${file}` },
  replicas: 2,
  traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'gateway' }] },
  rollout: { strategy: 'Canary' },
});
const halfAnHourS = 1800;
const tellAgainS = 180;
/** The maximum length of a line of text, in columns. */
const widest = 140;

type Change = { readonly name: string; readonly golden: string; readonly file: string; readonly outcome: string };
// prettier-ignore
const changes: readonly Change[] = [
  { name: 'that is as good as stable is promoted', golden: 'a-change-that-is-as-good',
    file: 'ok-second-errors0.2', outcome: 'Promoted' },
  { name: 'that is slower by half is rolled back', golden: 'a-change-that-is-slow',
    file: 'ok-x1.5-errors0.2', outcome: 'RolledBack' },
  { name: 'with other answers gets no traffic',
    golden: 'a-change-that-is-wrong', file: 'odd', outcome: 'Failed' },
];

class Teller {
  readonly world = new CanaryWorld({ perMinute: 1000, seed: 2 });
  readonly lines: string[] = [];
  #beganS = 0;
  #seconds = 0;
  #seen = '';
  #told = '';
  #toldS = 0;

  put(file: string): void {
    this.world.cluster.put(spec(file));
    this.lines.length = 0;
    this.#beganS = this.#seconds;
    this.#told = '';
  }

  async live(seconds: number, isOver: () => boolean = () => false): Promise<void> {
    for (const end = this.#seconds + seconds; this.#seconds < end && !isOver(); this.#seconds += 5) {
      await this.world.tick();
      this.#note();
    }
  }

  /** Adds a line if the state has changed, or every 3 min. A state that is seen only once, for 5 s, gets no line. */
  #note(): void {
    const { phase = '', rollout: { reason = '' } = {}, message } = this.world.cluster.status;
    const where = `${phase.padEnd(9)}  ${this.#shares().padEnd(13)}`;
    const seen = `${where} ${reason}`;
    const lasts = seen === this.#seen;
    this.#seen = seen;
    if (!lasts || (seen === this.#told && this.#seconds - this.#toldS < tellAgainS)) return;
    this.#told = seen;
    this.#toldS = this.#seconds;
    this.#say(where, `${reason === phase ? '' : `${reason}: `}${message}`);
  }

  /** Adds a line with the latest entry of status.history. */
  sayHistory(): void {
    const latest = this.world.cluster.status.history?.[0];
    this.#say(
      `${(latest?.outcome ?? '').padEnd(9)}  ${' '.repeat(13)}`,
      `in the history: ${latest?.message ?? latest?.reason}`,
    );
  }

  #say(where: string, message: string): void {
    this.lines.push(wrapped(`${clockOf(this.#seconds - this.#beganS)}  ${where}  `, this.#named(message)));
  }

  #shares(): string {
    const route = this.world.cluster.objects.get('HTTPRoute/ranker') as HttpRoute | undefined;
    return (route?.spec?.rules?.[0]?.backendRefs ?? [])
      .filter(({ weight }) => weight !== 0)
      .map(({ name, weight }) => this.#named(`${name.slice('ranker-'.length)} ${weight}%`))
      .join(' ');
  }

  /** Replaces the revisions by v1 (stable) and v2 (the change). */
  #named(text: string): string {
    const { stable, candidate, history = [] } = this.world.cluster.status;
    const first = history.at(-1)?.revision ?? stable?.revision;
    const second = [candidate?.revision, stable?.revision].find(
      (revision) => revision !== undefined && revision !== first,
    );
    return [
      [first, 'v1'],
      [second, 'v2'],
    ].reduce((line, [revision, name]) => (revision === undefined ? line : line.replaceAll(revision, name ?? '')), text);
  }
}

/** Wraps a line between words and indents the rest to the start of the message. */
function wrapped(head: string, message: string): string {
  const rows = [''];
  for (const word of message.split(' ')) {
    const row = rows.at(-1) ?? '';
    if (row !== '' && head.length + row.length + word.length >= widest) rows.push(word);
    else rows[rows.length - 1] = row === '' ? word : `${row} ${word}`;
  }
  return rows.map((row, at) => `${at === 0 ? head : ' '.repeat(head.length)}${row}`).join('\n');
}

/** Formats seconds as minutes and seconds, such as 5:05. */
function clockOf(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`.padStart(5);
}

describe('A change', () => {
  const told = new Map<string, string>();
  for (const { name, golden, file, outcome } of changes) {
    it(name, async () => {
      const teller = new Teller();
      const { cluster } = teller.world;
      teller.put('ok-first-errors0.2');
      await teller.live(halfAnHourS);
      teller.put(file);
      await teller.live(
        7200,
        () => cluster.status.history?.length === 2 && ['Failed', 'Settling'].includes(cluster.status.phase ?? ''),
      );
      await teller.live(10);
      if (outcome === 'Promoted') teller.sayHistory();
      const path = `story/${golden}.golden`;
      told.set(path, `${teller.lines.join('\n')}\n`);
      assertGolden(path, told.get(path) ?? '');
      assert.equal(cluster.status.history?.[0]?.outcome, outcome, teller.lines.join('\n'));
    }).timeout(120_000);
  }

  it('is quoted in README.md', () => assertQuoted('README.md', told));
});
