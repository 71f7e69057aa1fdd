/** Mutants of what the operator writes, tells and asks: apply, drift, traffic, history, Events, reports, signals. */
import { group } from '../mutant.ts';

const applying = ['test/unit/operator/reconcile/put-child.test.ts', 'test/unit/operator/children.test.ts', 'test/unit/operator/shape.test.ts', 'test/unit/operator/recent-writes.test.ts', 'test/unit/operator/leftovers.test.ts', 'test/unit/operator/stale-cache.test.ts', 'test/unit/operator/apply-route.test.ts', 'test/unit/operator/drift.test.ts', 'test/unit/operator/serving-pods.test.ts', 'test/unit/operator/golden-set.test.ts'];

export const operatorMutants = [
  ...group(applying, [
    { name: 'leftovers go after an apply that failed', of: 'apply', from: 'if (put.failure !== undefined) return', to: 'if (false) return' },
    { name: 'a child is deleted by name, without its uid', of: 'apply', within: 'remove', from: '...(uid === undefined ? {} : { uid })', to: '' },
    { name: 'the history of revisions is kept without a limit', of: 'leftoversOf', within: 'revisionsToKeep', from: 'old.slice(0, limit)', to: 'old' },
    { name: 'revisionHistoryLimit is not read', of: 'leftoversOf', within: 'revisionsToKeep', from: 'seen.model.spec.revisionHistoryLimit ?? 5', to: '5' },
    { name: 'the youngest revisions are forgotten first', of: 'leftoversOf', within: 'revisionsToKeep', from: 'b.generation - a.generation', to: 'a.generation - b.generation' },
    { name: 'a stale cache is written against', of: 'RecentWrites', from: 'return written.object;', to: 'return cached;' },
    { name: 'an old answer is believed over a newer cache', of: 'RecentWrites', from: ' || !isAhead(written.object, cached)', to: '' },
    { name: 'an answer is believed without end', of: 'RecentWrites', from: 'nowMs >= written.untilMs || ', to: '' },
    { name: 'versions are compared as text', of: 'isOlder', from: 'BigInt(version) < BigInt(than)', to: 'version < than' },
    { name: 'a name that somebody else uses is overwritten', of: 'putChild', within: 'findOwn', from: "throw new AppError('NAME_TAKEN'", to: "void new AppError('NAME_TAKEN'" },
    { name: 'a refused manifest holds up the other revision', of: 'apply', within: 'concerns', from: 'concerned.includes(failure.revision)', to: 'true' },
    { name: 'a route is written where the cluster has none', of: 'apply', within: 'isDue', from: "seen.gatewayApi === 'Served'", to: 'true' },
    { name: 'the entry Service selects marks before pods have them', of: 'apply', within: 'isDue', from: ' || marking.isSafe', to: ' || true' },
    { name: 'a child that is going away is deleted again', of: 'leftoversOf', from: 'object.metadata.deletionTimestamp !== undefined', to: 'object.metadata.deletionTimestamp === null' },
    { name: 'foreign weights that were put back are not counted', of: 'apply', within: 'putAll', from: 'if (course.hasReverted) hands', to: 'if (!course.hasReverted) hands' },
    { name: 'pods of a revision that does not share are marked', of: 'sharing', from: 'canary === undefined || ', to: '' },
    { name: 'more of the candidate\'s pods are marked than were decided', of: 'markPods', within: 'toMark', from: '.slice(0, decided)', to: '' },
    { name: 'marks go while the Service still selects by them', of: 'unmarkPods', from: 'marked.length > 0 && !selectsMarks(seen)', to: 'marked.length > 0' },
  ]),
  ...group(['test/unit/operator/drift.test.ts', ...applying], [
    { name: 'a quantity of another spelling is written again', of: 'isApplied', within: 'sameQuantity', from: 'first !== undefined && first === second', to: 'false' },
    { name: 'a list of another length counts as applied', of: 'differencesOf', within: 'listDifferences', from: 'if (live.length !== wanted.length) return [path];', to: '' },
    { name: 'a key more in an atomic map counts as applied', of: 'isAtomicMap', home: 'operator/', from: 'return atomicMaps.has(field);', to: 'return false;' },
    { name: 'a key more in a selector counts as applied', of: 'isAtomicMap', home: 'operator/', within: 'atomicMaps', from: "'selector', ", to: '' },
    { name: 'what the server made of our apply is written again', of: 'differencesOf', within: 'differences', from: ' || (answered !== undefined && isSame(live, answered))', to: '' },
    { name: 'a quantity compares by its text', of: 'differencesOf', within: 'mapDifferences', from: 'quantityMaps.has(field) || quantityFields.has(name)', to: 'false' },
    { name: 'the order of containers is a difference', of: 'itemKeysOf', from: 'candidates.length < 2) return candidates?.[0];', to: 'candidates.length < 2) return undefined;' },
    { name: 'a refused write is tried again at once', of: 'RecentWrites', from: 'known.of === of && nowMs < known.untilMs ? known : undefined', to: 'known.of === of && nowMs < 0 ? known : undefined' },
    { name: 'a changed manifest waits for the refusal of another', of: 'RecentWrites', from: 'known.of === of && nowMs < known.untilMs ? known', to: 'nowMs < known.untilMs ? known' },
    { name: 'a child is deleted twice', of: 'RecentWrites', from: 'if (uid !== undefined) this.#deleted.add(uid);', to: '' },
    { name: 'what the server rounded is written again after a change elsewhere', of: 'dueOf', from: 'isApplied(manifest, known, before?.answer)', to: 'isApplied(manifest, known)' },
    { name: 'an orphan of the model is not adopted', of: 'putChild', within: 'findOwn', from: " || isOrphanOf(found, model?.name ?? '')", to: '' },
    { name: 'a frozen template is written over', of: 'putChild', within: 'withStoredData', from: "manifest.kind !== 'ControllerRevision' || ", to: "manifest.kind === 'ControllerRevision' || " },
    { name: 'what is wanted is a leftover by its label', of: 'leftoversOf', from: ' || wanted.has(identityOf(object))', to: '' },
  ]),
  ...group(['test/unit/operator/traffic.test.ts'], [
    { name: 'a route that was not accepted counts as taken', of: 'trafficSeen', within: 'byRoute', from: 'if (problem !== undefined) return { shares: undefined', to: 'if (false) return { shares: undefined' },
    { name: 'a route of an older generation counts as taken', of: 'trafficSeen', within: 'conditionProblem', from: '(condition.observedGeneration ?? 0) < generation', to: 'false' },
    { name: 'pods that are not ready share the traffic', of: 'trafficSeen', within: 'servesNow', from: ' && isReady(pod)', to: '' },
    { name: 'a backend without a weight gets nothing', of: 'trafficSeen', within: 'sharesOf', from: '{ name, weight = 1 }', to: '{ name, weight = 0 }' },
  ]),
  ...group(['test/unit/operator/leftovers.test.ts', 'test/unit/operator/memory.test.ts', 'test/unit/operator/history-limit.test.ts', 'test/unit/operator/rollout-metrics.test.ts'], [
    { name: 'the history of rollouts grows without end', of: 'historyAfter', from: '.slice(0, historyLimit)', to: '' },
    { name: 'the history begins with the oldest', of: 'historyAfter', from: '}, ...previous].slice', to: '}, ...previous].reverse().slice' },
    { name: 'a rollback is told twice', of: 'endedBy', within: 'ending', from: "before.phase === 'Aborting' ? undefined :", to: 'false ? undefined :' },
  ]),
  ...group(['test/unit/operator/kube/events.test.ts', 'test/unit/operator/kube/event-rules.test.ts'], [
    { name: 'an Event that repeats is written each time', of: 'EventRules', from: 'known.count > 2 && now - known.writtenAt < rewriteMs', to: 'known.count > 2 && false' },
    { name: 'a series never ends', of: 'EventRules', from: 'now - known.lastAt < seriesMs', to: 'true' },
    { name: 'different notes are never combined', of: 'EventRules', from: 'similar.notes.size < maxSimilar', to: 'true' },
    { name: 'warnings have a limit', of: 'isKept', from: " || type === 'Warning'", to: '' },
    { name: 'promotions have a limit', of: 'isKept', from: 'keep || ', to: '' },
    { name: 'Normal Events have no limit', of: 'EventRules', from: 'const allowed = tokens >= 1;', to: 'const allowed = true;' },
  ]),
  ...group(['test/unit/operator/reports.test.ts', 'test/unit/operator/report-*.test.ts'], [
    { name: 'a silent pod loses what it told', of: 'ReportPuller', from: 'entry.latest = { ...entry.latest, silence: pulled.reason }', to: 'delete entry.latest' },
    { name: 'a clock that is off puts counts at other times', of: 'ReportPuller', from: 'Math.abs(offMs) > clockToleranceMs', to: 'Math.abs(offMs) > Infinity' },
    { name: 'blocks of another boot are taken for heard', of: 'ReportPuller', within: 'heardIn', from: 'before?.bootId === bootId ? before.seq : 0', to: 'before?.seq ?? 0' },
    { name: 'a report is read without a limit', of: 'createReportClient', within: 'read', from: 'readBounded(response, reportLimitBytes)', to: 'readBounded(response, 2 ** 40)' },
    { name: 'a report expands without a limit', of: 'createReportClient', within: 'unpack', from: '{ maxOutputLength: reportLimitBytes }', to: '{}' },
  ]),
  ...group(['test/unit/operator/telling.test.ts', 'test/unit/operator/telling*.test.ts'], [
    { name: 'what is only read in the status becomes an Event', of: 'announceTo', from: "if (kind === 'Silent') return;", to: '' },
    { name: 'a given up candidate is no warning', of: 'announceTo', from: "next.phase === 'Failed' ? 'Warning' : reasons[reason]", to: 'reasons[reason]' },
    { name: 'a model is followed closely at rest', of: 'followWith', from: "isClose ? 'rollout' : 'rest'", to: "'rollout'" },
  ]),
  ...group(['test/unit/operator/reports/*.test.ts'], [
    { name: 'all pods are asked at once', of: 'PullSchedule', from: 'if (this.#inFlight >= this.#limits.slots) return undefined;', to: '' },
    { name: 'silent pods hold all slots', of: 'PullSchedule', from: 'this.#unheard < this.#limits.unheardSlots && ', to: '' },
    { name: 'one namespace holds all slots', of: 'PullSchedule', from: 'if (namespace.usage.inFlight >= this.#limits.namespaceSlots) return false;', to: '' },
    { name: 'the namespace that used most goes first', of: 'PullSchedule', within: 'least', from: 'ms < best.ms', to: 'ms > best.ms' },
    { name: 'a silent pod is asked as often as one that answers', of: 'pauseMs', from: 'if (misses > 0) return', to: 'if (misses > 1e9) return' },
  ]),
  ...group(['test/unit/lib/lifecycle.test.ts'], [
    { name: 'an echo of the first signal ends at once', of: 'signalHandler', from: "if (state !== 'Running') return;", to: "if (state !== 'Running') return endNow();" },
    { name: 'a second signal is not heard', of: 'signalHandler', from: "if (state === 'Impatient') endNow();", to: '' },
  ]),
  ...group(['test/unit/cli/undo.test.ts'], [
    { name: 'undo goes to the present revision', of: 'previous', from: ' && revision !== now) return found', to: ') return found' },
    { name: 'undo goes to a revision that was not promoted', of: 'previous', from: "outcome === 'Promoted'", to: 'outcome.length > 0' },
  ]),
];
