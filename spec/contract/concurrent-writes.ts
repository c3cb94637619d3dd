import type { WorkflowRun } from '../../lib';
import { atOnce, OpenTransaction, untilBlocked } from '../support/concurrency';
import { aCheckpoint, aFullCheckpoint, aRun, freshId } from '../support/fixtures';
import { groupNeeds, needs, type Subject } from './subject';

const ROUNDS = [1, 2, 3];
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];

export function concurrentWrites(subject: Subject): void {
  groupNeeds(subject, 'database')('many writers at once', () => {
    creating(subject);
    attributes(subject);
    steps(subject);
    deleting(subject);
    pruning(subject);
  });
}

function creating(subject: Subject): void {
  it.each(ROUNDS)('create one run, whole, and nobody fails (round %i)', async () => {
    const { id, namespace } = { id: freshId(), namespace: freshId('ns') };
    const variant = (n: number) =>
      aRun({ id, namespace, input: n, searchAttributes: n % 3 ? { writer: n, [`w${n}`]: true } : undefined });
    await atOnce(18, subject.peers, (store, n) => store.createRun(variant(n)));
    const run = (await subject.store.getRun(id))!;
    expect(run).toEqual(variant(run.input as number));
    const writer = { key: 'writer', op: 'gte' as const, value: 0 };
    expect(await subject.store.listRuns({ namespace, attributes: [writer] })).toHaveLength(
      run.searchAttributes ? 1 : 0,
    );
    for (let n = 0; n < 18; n += 1) {
      const attributes = [{ key: `w${n}`, op: 'eq' as const, value: true }];
      const mine = run.searchAttributes !== undefined && run.input === n;
      expect(await subject.store.listRuns({ namespace, attributes })).toHaveLength(mine ? 1 : 0);
    }
  });

  it('create different runs with attributes, all of them', async () => {
    const namespace = freshId('ns');
    await atOnce(24, subject.peers, (store, n) =>
      store.createRun(aRun({ namespace, searchAttributes: { n, a: 'x' } })),
    );
    expect(await subject.store.listRuns({ namespace, attributes: [{ key: 'a', op: 'eq', value: 'x' }] })).toHaveLength(
      24,
    );
  });
}

function attributes(subject: Subject): void {
  it.each(ROUNDS)('rewrite the attributes of one run, and one of them is what stays (round %i)', async () => {
    const run = await stored(subject, { namespace: freshId('ns') });
    await atOnce(15, subject.peers, (store, n) => store.updateRun(run.id, { searchAttributes: variant(n) }));
    await expectConsistent(subject, run);
  });

  it.each(ROUNDS)('rewrite the attributes of different runs, and nobody fails (round %i)', async () => {
    const runs: WorkflowRun[] = [];
    for (let n = 0; n < 6; n += 1)
      runs.push(await stored(subject, { namespace: freshId('ns'), searchAttributes: variant(n) }));
    await atOnce(30, subject.peers, (store, n) => store.updateRun(runs[n % 6]!.id, { searchAttributes: variant(n) }));
    for (const run of runs) await expectConsistent(subject, run);
  });

  it('patch different fields of one run, and each patch stays', async () => {
    const run = await stored(subject, {});
    const patches: Partial<WorkflowRun>[] = [
      { status: 'suspended' },
      { output: 1 },
      { wakeAt: 5 },
      { error: { message: 'x' } },
      { tags: ['t'] },
      { searchAttributes: { a: 1 } },
      { awaitingDecisionTaskId: 'turn' },
      { recoveryAttempts: 3 },
    ];
    await atOnce(8, subject.peers, (store, n) => store.updateRun(run.id, patches[n]!));
    expect(await subject.store.tryLockRun(run.id, 'me', 9, 1)).toBe(true);
    expect(await subject.store.getRun(run.id)).toMatchObject(Object.assign({ lockedBy: 'me' }, ...patches));
  });
}

/** Some of the keys, so that rewrites add, change and remove. */
function variant(n: number): Record<string, number> {
  return Object.fromEntries(KEYS.filter((_, k) => (n >> (k % 4)) & 1 || k === n % 6).map((key) => [key, n]));
}

/** The side table says what the run's JSON says, key by key. */
async function expectConsistent({ store }: Subject, { id, namespace }: WorkflowRun): Promise<void> {
  const kept = (await store.getRun(id))?.searchAttributes as Record<string, number>;
  for (const key of KEYS) {
    const any = { namespace, attributes: [{ key, op: 'gte' as const, value: -1 }] };
    expect([key, (await store.listRuns(any)).length]).toEqual([key, key in kept ? 1 : 0]);
    if (!(key in kept)) continue;
    const exact = { namespace, attributes: [{ key, op: 'eq' as const, value: kept[key] as number }] };
    expect([key, (await store.listRuns(exact)).length]).toEqual([key, 1]);
  }
}

function steps(subject: Subject): void {
  it('save one checkpoint, and the one that stays is whole', async () => {
    const runId = freshId();
    const version = (n: number) => (n % 2 ? aFullCheckpoint : aCheckpoint)({ runId, stepId: 's', output: n });
    await atOnce(18, subject.peers, (store, n) => store.saveCheckpoint(version(n)));
    const [found, ...more] = await subject.store.listCheckpoints(runId);
    expect(more).toEqual([]);
    expect(found).toEqual(version(found?.output as number));
  });

  it('save many checkpoints of many runs in any order, and all stay', async () => {
    const runIds = [freshId(), freshId(), freshId()];
    const places = runIds.flatMap((runId) => [5, -1, 3, 0, 4, 1, 2, -2].map((seq) => ({ runId, seq })));
    await atOnce(places.length, subject.peers, (store, n) =>
      store.saveCheckpoint(aCheckpoint(places[(n * 7) % places.length])),
    );
    for (const runId of runIds) expect(await subject.store.listCheckpoints(runId)).toHaveLength(8);
  });

  it('save one checkpoint through one store in turn: the last call is the one that stays', async () => {
    const runId = freshId();
    await atOnce(20, [subject.store], (store, n) => store.saveCheckpoint(aCheckpoint({ runId, output: n })));
    expect(await subject.store.listCheckpoints(runId)).toMatchObject([{ output: 19 }]);
    await Promise.all([1, 2].map((seq) => subject.store.saveCheckpoint(aCheckpoint({ runId, seq }))));
    expect(await subject.store.listCheckpoints(runId)).toHaveLength(3);
  });

  it('a checkpoint that is refused fails its own caller only', async () => {
    const runId = freshId();
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, n) =>
        subject.store.saveCheckpoint(aCheckpoint({ runId, seq: n, output: n === 5 ? 1n : n })),
      ),
    );
    expect(results.map(({ status }) => status).indexOf('rejected')).toBe(5);
    expect(await subject.store.listCheckpoints(runId)).toHaveLength(11);
  });

  it('put one waiter, and one of them owns the token', async () => {
    const token = freshId('t');
    await atOnce(18, subject.peers, (store, seq) => store.putSignalWaiter({ token, runId: `r${seq}`, seq }));
    const [waiter, ...more] = await subject.store.listSignalWaiters(token);
    expect(more).toEqual([]);
    expect(waiter?.runId).toBe(`r${waiter?.seq}`);
  });
}

function deleting(subject: Subject): void {
  it('delete runs while others still write them, and nothing but checkpoints and waiters can remain', async () => {
    const runs: WorkflowRun[] = [];
    for (let n = 0; n < 6; n += 1)
      runs.push(await stored(subject, { namespace: freshId('ns'), searchAttributes: { a: n } }));
    await atOnce(36, subject.peers, async (store, n) => {
      const { id } = runs[n % 6]!;
      const action = Math.floor(n / 6) % 4;
      if (action === 0) await store.deleteRun(id);
      if (action === 1) await store.updateRun(id, { searchAttributes: { b: n } }).catch(notFound);
      if (action === 2) await store.saveCheckpoint(aCheckpoint({ runId: id, seq: n }));
      if (action === 3) await store.putSignalWaiter({ token: `${id}:${n}`, runId: id, seq: n });
    });
    for (const { id, namespace } of runs) {
      expect(await subject.store.getRun(id)).toBeNull();
      await subject.store.createRun(aRun({ id, namespace }));
      for (const key of ['a', 'b']) {
        expect(await subject.store.listRuns({ namespace, attributes: [{ key, op: 'gte', value: 0 }] })).toEqual([]);
      }
    }
  });
}

function notFound(error: Error): void {
  expect(error.message).toContain('not found');
}

function pruning(subject: Subject): void {
  it('prune at once, and together count each run once', async () => {
    const scopes = { namespace: freshId('ns') };
    const updatedAt = new Date(0);
    for (let n = 0; n < 12; n += 1) await stored(subject, { ...scopes, status: 'completed', updatedAt });
    const policy = { statuses: ['completed' as const], maxAge: 1 };
    const counts = await atOnce(6, subject.peers, (store) =>
      store.withScope(scopes).pruneTerminalRuns(policy, 1000, 3),
    );
    for (let more = 1; more > 0; counts.push(more)) {
      more = await subject.store.withScope(scopes).pruneTerminalRuns(policy, 1000, 3);
    }
    expect(counts.reduce((sum, count) => sum + count)).toBe(12);
    expect(await subject.store.listRuns(scopes)).toEqual([]);
  });

  needs(subject, 'pool')('a prune waits for a run that is being requeued, and leaves it', async () => {
    const namespace = freshId('ns');
    const run = await stored(subject, { namespace, status: 'failed', updatedAt: new Date(0) });
    await subject.store.saveCheckpoint(aCheckpoint({ runId: run.id }));
    const statement = "update durable_workflow_runs set status = 'pending' where id = ?";
    const requeue = await OpenTransaction.holding(subject.orm, statement, [run.id]);
    const policy = { statuses: ['failed' as const], maxAge: 1 };
    const prune = subject.peers[0]!.withScope({ namespace }).pruneTerminalRuns(policy, 1000, 9);
    await untilBlocked(subject.kind, subject.orm).finally(() => requeue.commit());
    expect(await prune).toBe(0);
    expect(await subject.store.getRun(run.id)).toMatchObject({ status: 'pending' });
    expect(await subject.store.listCheckpoints(run.id)).toHaveLength(1);
  });
}

async function stored({ store }: Subject, fields: Partial<WorkflowRun>): Promise<WorkflowRun> {
  const run = aRun(fields);
  await store.createRun(run);
  return run;
}
