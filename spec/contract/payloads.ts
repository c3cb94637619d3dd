import { aCheckpoint, aRun, freshId } from '../support/fixtures';
import { needs, type Subject } from './subject';

const LONE_SURROGATES = '\ud83d and \ude00';

/** Values that JSON can express and databases like to change. */
const VALUES: [string, unknown][] = [
  ['null', null],
  ['false', false],
  ['zero', 0],
  ['empty text', ''],
  ['text that looks like a number', '123'],
  ['text that looks like null', 'null'],
  ['text that looks like an object', '{"a": 1}'],
  ['an empty list', []],
  ['an empty object', {}],
  ['nulls inside', { a: null, b: [null] }],
  ['keys in an order that sorting would change', { z: 1, a: { y: 1, b: 2 }, 10: 'x', m: [] }],
  ['a NUL character', { text: 'a\u0000b', '\u0000': 1 }],
  ['lone surrogates', { text: LONE_SURROGATES, [LONE_SURROGATES]: 1 }],
  ['emoji and accents', 'Zoë 🏳️‍🌈 ﷽'],
  ['quotes and backslashes', `it's "quoted" \\ \\' \\" \`back\` \\\\`],
  ['placeholders', 'what? ?? :name $1 %s %'],
  ['the word returning', 'delete from t returning * '],
  ['comment and statement marks', '/* x */ -- y ; drop table durable_workflow_runs'],
  ['line ends and tabs', 'a\nb\r\nc\td\u2028e\u2029'],
  ['numbers at the edges', [0.1, 200.1, 1e308, 5e-324, -1.5, Number.MAX_SAFE_INTEGER, 2 ** 60]],
  ['a __proto__ key', JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}')],
];

export function payloads(subject: Subject): void {
  describe('payloads', () => {
    it.each(VALUES)('keeps %s wherever a payload can be', async (_, value) => {
      expect(await throughEverything(subject, value)).toEqual(Array(9).fill(JSON.stringify(value)));
    });

    it('keeps an absent payload absent, and a signal without one is still a signal', async () => {
      expect(await throughEverything(subject, undefined)).toEqual(Array(9).fill(undefined));
    });

    it('answers null for no signal and an object for a null signal', async () => {
      const token = freshId();
      await subject.store.bufferSignal(token, null);
      expect(await subject.store.takeBufferedSignal(token)).toEqual({ payload: null });
      expect(await subject.store.takeBufferedSignal(token)).toBeNull();
    });

    it('keeps a payload of a megabyte', async () => {
      const value = { text: '0123456789abcdé€'.repeat(65_536) };
      expect(await throughEverything(subject, value)).toEqual(Array(9).fill(JSON.stringify(value)));
    });

    it('does not change the values it is given', async () => {
      const value = { z: 1, a: { list: [new Date(0), 'x'] } };
      const before = structuredClone(value);
      await throughEverything(subject, value);
      expect(value).toEqual(before);
    });

    needs(subject, 'json')('keeps of other values what JSON keeps', async () => {
      const value = { at: new Date(0), gone: undefined, run: () => 1, map: new Map([[1, 2]]), not: Number.NaN };
      expect(await throughEverything(subject, value)).toEqual(Array(9).fill(JSON.stringify(value)));
    });

    refusals(subject);
  });
}

/** Every place that keeps a payload, each as its JSON text. */
async function throughEverything({ store }: Subject, value: unknown): Promise<(string | undefined)[]> {
  const run = aRun({ input: value, output: value });
  await store.createRun(run);
  const created = await store.getRun(run.id);
  await store.updateRun(run.id, { input: value, output: value, error: value as never });
  const updated = await store.getRun(run.id);
  await store.saveCheckpoint(aCheckpoint({ runId: run.id, input: value, output: value }));
  const checkpoint = await store.getCheckpoint(run.id, 0);
  await store.bufferSignal(run.id, value);
  const signal = await store.takeBufferedSignal(run.id);
  await store.bufferEvent({ id: run.id, name: run.id, payload: value, publishedAt: 1 });
  const [event] = await store.listBufferedEvents(run.id, 1);
  const found = [created?.input, created?.output, updated?.input, updated?.output, updated?.error];
  found.push(checkpoint?.input, checkpoint?.output, signal?.payload, event?.payload);
  expect([signal === null, event === undefined]).toEqual([false, false]);
  return found.map((payload) => JSON.stringify(payload));
}

function refusals(subject: Subject): void {
  const circular: Record<string, unknown> = { name: 'hush' };
  circular.hush = circular;
  const hostile = {
    hush: {
      toJSON: () => {
        throw new Error('hush');
      },
    },
  };
  const cases: [string, unknown][] = [
    ['a BigInt', { hush: 12_345n }],
    ['a cycle', circular],
    ['a value whose toJSON throws', hostile],
  ];

  needs(subject, 'validates').each(cases)('refuses %s, writes nothing and quotes nothing', async (_, payload) => {
    const run = aRun();
    await subject.store.createRun(run);
    const id = freshId();
    const at = (field: string) => ({ name: 'DurableInputError', code: 'DURABLE_INVALID_PAYLOAD', field });
    const refuse = async (call: Promise<unknown>, field: string) => {
      await expect(call).rejects.toMatchObject(at(field));
      const error = (await call.catch((thrown) => thrown)) as Error;
      expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toMatch(/hush|12345/);
    };
    await refuse(subject.store.createRun(aRun({ id, input: payload })), 'run.input');
    await refuse(subject.store.createRun(aRun({ id, searchAttributes: { a: 1 }, output: payload })), 'run.output');
    await refuse(subject.store.updateRun(run.id, { status: 'dead', error: payload as never }), 'run.error');
    await refuse(subject.store.saveCheckpoint(aCheckpoint({ runId: id, output: payload })), 'checkpoint.output');
    await refuse(subject.store.bufferSignal(id, payload), 'signal.payload');
    await refuse(subject.store.bufferEvent({ id, name: id, payload, publishedAt: 1 }), 'event.payload');
    expect(await subject.store.getRun(run.id)).toMatchObject({ status: 'pending' });
    expect(await remains(subject, id)).toEqual([null, [], null, []]);
  });
}

async function remains({ store }: Subject, id: string): Promise<unknown[]> {
  return [
    await store.getRun(id),
    await store.listCheckpoints(id),
    await store.takeBufferedSignal(id),
    await store.listBufferedEvents(id, 9),
  ];
}
