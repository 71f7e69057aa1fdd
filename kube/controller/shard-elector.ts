/**
 * Leader election for operators that share the models: one Lease for each shard, and a record (also a Lease) that says
 * how many shards there are.
 * Terms: A shard is the part of the models that one operator handles. To lead is to be the only process that works for
 * a shard.
 * Owns: the names of the Leases, and the change of the number of shards without two leaders of one model.
 * Rule: a process writes first; only what it reads after its write decides whether it leads. A process takes its
 * shard's Lease, then reads the record: it leads only if the record has its own number of shards, and every Lease for
 * the earlier numbers of shards is free. A process with another number of shards changes the record before it takes its
 * Lease. When two processes do this at the same time, at least one sees the write of the other, and waits.
 * Limits: the record is never deleted. A person who deletes it must stop every operator first.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { microTime } from '../events/micro-time.ts';
import type { CallOptions } from '../client/kube-client.ts';
import { isAlreadyExists, isConflict } from '../client/kube-error.ts';
import { LeaderElector, type LeaderDeps, type Term } from './leader.ts';
import type { Shard } from './shard.ts';
import { leases, LeaseSighting, readLease, type Lease } from './lease.ts';

/**
 * `of`: how many shards there are. `after`: earlier numbers of shards, for which operators may still hold Leases.
 * `lease`: the Lease that stores the record.
 */
type ShardRecord = { readonly of: number; readonly after: readonly number[]; readonly lease?: Lease };

export type ShardElectorDeps = LeaderDeps & { readonly shard: Shard };

export class ShardElector {
  readonly #deps: ShardElectorDeps;
  readonly #elector: LeaderElector;
  /** The Leases of operators with a different number of shards, as this process last saw them, by the Lease's name. */
  readonly #seen = new Map<string, LeaseSighting>();
  readonly #retryMs: number;
  #told = '';

  /** @param deps `lease` is the Lease of an operator that is not sharded; the other names begin with its name */
  constructor(deps: ShardElectorDeps) {
    this.#deps = deps;
    this.#retryMs = deps.retryMs ?? 2000;
    const name = leaseNameOf(deps.lease.name, deps.shard);
    this.#elector = new LeaderElector({ ...deps, lease: { ...deps.lease, name } });
  }

  /** Tries until this process leads its shard (returns a Term) or the signal is aborted (returns undefined). */
  async campaign(signal: AbortSignal): Promise<Term | undefined> {
    while (!signal.aborted) {
      await this.#until(signal, (call) => this.#enter(call));
      const term = await this.#elector.campaign(signal);
      if (term === undefined) return undefined;
      const both = AbortSignal.any([signal, term.lost]);
      const answer = await this.#until(both, (call) => this.#confirm(call));
      if (answer === 'ours' && !both.aborted) return term;
      await term.release();
    }
    return undefined;
  }

  /** Repeats the work until it returns a value or the signal is aborted. When the work throws, it is repeated, too. */
  async #until<A>(signal: AbortSignal, work: (call: CallOptions) => Promise<A | undefined>): Promise<A | undefined> {
    const { clock, logger } = this.#deps;
    while (!signal.aborted) {
      try {
        const answer = await work({ signal, deadlineMs: 5000 });
        if (answer !== undefined) return answer;
      } catch (error) {
        if (isConflict(error) || isAlreadyExists(error)) continue;
        if (!signal.aborted) logger.warn('the Leases of the shards were not read', { why: messageOf(error) });
      }
      await clock.sleep(this.#retryMs * (1 + 0.2 * (this.#deps.random ?? Math.random)()), signal);
    }
    return undefined;
  }

  /**
   * Writes our number of shards into the record. While a Lease of the recorded number of shards is held, the method
   * does not write and returns undefined.
   */
  async #enter(call: CallOptions): Promise<true | undefined> {
    const { of } = this.#deps.shard;
    const record = await this.#readRecord(call);
    if (record.of === of) return true;
    if (await this.#isHeld([record.of], call)) return undefined;
    await this.#writeRecord(
      record,
      [...new Set([...record.after, record.of])].filter((before) => before !== of),
      call,
    );
    return true;
  }

  /**
   * Called while this process holds its Lease.
   * @returns 'ours' when this process may lead, 'other' when the record has a different number of shards, undefined
   * while a Lease of an earlier number is held
   */
  async #confirm(call: CallOptions): Promise<'ours' | 'other' | undefined> {
    const record = await this.#readRecord(call);
    if (record.of !== this.#deps.shard.of) return 'other';
    if (await this.#isHeld(record.after, call)) return undefined;
    // All old Leases are free, so remove their numbers from the record. After a conflict, the next try reads the new
    // record.
    if (record.after.length > 0) await this.#writeRecord(record, [], call);
    return 'ours';
  }

  async #readRecord(call: CallOptions): Promise<ShardRecord> {
    const lease = await readLease(this.#deps.client, this.#recordName(), call);
    if (lease === undefined) return { of: 1, after: [] };
    const record = parseRecord(lease.spec?.holderIdentity ?? '');
    if (record === undefined)
      throw new AppError('BAD_CONFIG', {
        where: `Lease ${this.#recordName().name}`,
        problem: `holderIdentity is '${lease.spec?.holderIdentity ?? ''}', which is not a number of shards`,
      });
    return { ...record, lease };
  }

  async #writeRecord({ lease }: ShardRecord, after: readonly number[], call: CallOptions): Promise<void> {
    const { client, clock, logger, shard } = this.#deps;
    const now = microTime(clock.now());
    const spec = { ...lease?.spec, holderIdentity: recordText(shard.of, after), acquireTime: now, renewTime: now };
    if (lease === undefined) {
      const made = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: this.#recordName(), spec };
      await client.create(leases, made, call);
    } else {
      // The write has the resourceVersion that was read. If two processes change the record at once, one of them gets a
      // conflict.
      await client.replace(leases, { ...lease, spec }, call);
    }
    logger.info('number of shards recorded', { shards: shard.of, after });
  }

  async #isHeld(numbers: readonly number[], call: CallOptions): Promise<boolean> {
    const names = numbers.flatMap((of) => Array.from({ length: of }, (_, index) => this.#leaseName({ index, of })));
    const held: string[] = [];
    for (const name of names) if (!(await this.#isFree(name, call))) held.push(name);
    const told = held.join(', ');
    if (told !== '' && told !== this.#told)
      this.#deps.logger.info('waiting until operators with a different number of shards release their Leases', {
        leases: held,
        shards: this.#deps.shard.of,
      });
    this.#told = told;
    return held.length > 0;
  }

  async #isFree(name: string, call: CallOptions): Promise<boolean> {
    const { client, clock, lease, leaseMs } = this.#deps;
    const found = await readLease(client, { ...lease, name }, call);
    if (found === undefined) return true;
    const seen = this.#seen.get(name) ?? new LeaseSighting(clock, leaseMs ?? 15_000);
    this.#seen.set(name, seen);
    seen.sight(found);
    return seen.isFree();
  }

  #leaseName(shard: Shard): string {
    return leaseNameOf(this.#deps.lease.name, shard);
  }

  #recordName(): { readonly namespace: string; readonly name: string } {
    const { namespace, name } = this.#deps.lease;
    return { namespace, name: `${name}-shards` };
  }
}

/**
 * The name of the Lease of a shard: `onnx-operator` when there is one shard, `onnx-operator-0-of-3` for the first of
 * three shards.
 */
export function leaseNameOf(base: string, { index, of }: Shard): string {
  return of === 1 ? base : `${base}-${index}-of-${of}`;
}

/**
 * The text that the record has as its holder: `3`, or `3 after 1, 2` while Leases from the times with 1 and with 2
 * shards may still be held.
 */
function recordText(of: number, after: readonly number[]): string {
  return after.length === 0 ? `${of}` : `${of} after ${after.join(', ')}`;
}

function parseRecord(text: string): Pick<ShardRecord, 'of' | 'after'> | undefined {
  const [, of, after] = /^(\d{1,3})(?: after (\d{1,3}(?:, \d{1,3})*))?$/.exec(text) ?? [];
  if (of === undefined || Number(of) < 1) return undefined;
  return { of: Number(of), after: after === undefined ? [] : after.split(', ').map(Number) };
}
