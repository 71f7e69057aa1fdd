/**
 * Sets of fields of an object, as in `metadata.managedFields` (FieldsV1).
 * Owns: the tree and its set operations. A step is written as in FieldsV1: `f:name` is a field, `k:{...}` is an item of
 * a list by its keys, and `v:...` is an item of a set by its value. A node is itself a member of the set, or only leads
 * to members below it.
 */
import { isRecord } from '../../../api/record.ts';
import { type JsonRecord } from '../../../lib/json.ts';

export class FieldSet {
  /** Whether this node's path is a member. */
  isMember = false;
  readonly children = new Map<string, FieldSet>();

  static of(paths: readonly (readonly string[])[]): FieldSet {
    const set = new FieldSet();
    for (const path of paths) set.add(path);
    return set;
  }

  /** Reads FieldsV1. The key `.` makes its node a member; a node without children is a member, too. */
  static fromJson(json: unknown): FieldSet {
    const set = new FieldSet();
    for (const [step, below] of Object.entries(isRecord(json) ? json : {})) {
      if (step === '.') {
        set.isMember = true;
        continue;
      }
      const child = FieldSet.fromJson(below);
      if (isRecord(below) && Object.keys(below).length === 0) child.isMember = true;
      set.children.set(step, child);
    }
    return set;
  }

  toJson(): JsonRecord {
    const json: JsonRecord = {};
    if (this.isMember && this.children.size > 0) json['.'] = {};
    for (const [step, child] of [...this.children].sort(([a], [b]) => (a < b ? -1 : 1)))
      if (!child.isEmpty()) json[step] = child.toJson();
    return json;
  }

  add(path: readonly string[]): void {
    const [step, ...rest] = path;
    if (step === undefined) this.isMember = true;
    else this.#childAt(step).add(rest);
  }

  at(step: string): FieldSet | undefined {
    return this.children.get(step);
  }

  isEmpty(): boolean {
    return !this.isMember && [...this.children.values()].every((child) => child.isEmpty());
  }

  union(other: FieldSet): FieldSet {
    return this.#combine(other, (inThis, inOther) => inThis || inOther);
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (inThis, inOther) => inThis && inOther);
  }

  /**
   * The members of this set that are not members of the other set. A path is only removed when the other set contains
   * exactly this path.
   */
  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (inThis, inOther) => inThis && !inOther);
  }

  /**
   * A copy without the subtrees at these paths. When a path ends in `.`, only the member at the path is removed, and
   * its subtree stays.
   */
  without(paths: readonly (readonly string[])[]): FieldSet {
    return this.#copyBut(paths);
  }

  /** A set that contains only the subtree at this first step. */
  only(step: string): FieldSet {
    const out = new FieldSet();
    const child = this.children.get(step);
    if (child !== undefined) out.children.set(step, child);
    return out;
  }

  isSameAs(other: FieldSet): boolean {
    return this.difference(other).isEmpty() && other.difference(this).isEmpty();
  }

  /** The path of every member, except the root. */
  *paths(prefix: readonly string[] = []): Generator<readonly string[]> {
    // In kube-apiserver's order: the members at this level come before deeper members.
    const sorted = [...this.children].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [step, child] of sorted) if (child.isMember) yield [...prefix, step];
    for (const [step, child] of sorted) yield* child.paths([...prefix, step]);
  }

  #childAt(step: string): FieldSet {
    const found = this.children.get(step);
    if (found !== undefined) return found;
    const made = new FieldSet();
    this.children.set(step, made);
    return made;
  }

  #combine(other: FieldSet, keep: (inThis: boolean, inOther: boolean) => boolean): FieldSet {
    const out = new FieldSet();
    out.isMember = keep(this.isMember, other.isMember);
    for (const step of new Set([...this.children.keys(), ...other.children.keys()])) {
      const child = (this.children.get(step) ?? nothing).#combine(other.children.get(step) ?? nothing, keep);
      if (!child.isEmpty()) out.children.set(step, child);
    }
    return out;
  }

  #copyBut(paths: readonly (readonly string[])[]): FieldSet {
    const out = new FieldSet();
    out.isMember = this.isMember && !paths.some((path) => path.length === 1 && path[0] === '.');
    for (const [step, child] of this.children) {
      const below = paths.filter((path) => path[0] === step).map((path) => path.slice(1));
      if (below.some((path) => path.length === 0)) continue;
      const kept = below.length === 0 ? child : child.#copyBut(below);
      if (!kept.isEmpty()) out.children.set(step, kept);
    }
    return out;
  }
}

const nothing = new FieldSet();

/** A path in the form of conflict messages: `f:spec`, `k:{"name":"a"}` → `.spec`, `[name="a"]`. */
export function pathText(path: readonly string[]): string {
  return path.map(stepText).join('');
}

function stepText(step: string): string {
  const rest = step.slice(2);
  if (step.startsWith('f:')) return `.${rest}`;
  if (step.startsWith('v:')) return `[=${rest}]`;
  if (step.startsWith('i:')) return `[${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as JsonRecord);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}
