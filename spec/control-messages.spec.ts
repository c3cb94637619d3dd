import type { ControlMessage } from '@dudousxd/nestjs-durable-core';
import { echoPayload, parcelOf, payloadsOf } from '../lib/control-plane/messages';

const completed = (runId: string, output: unknown): ControlMessage => ({
  kind: 'event',
  event: { type: 'run.completed', runId, output, at: new Date('2026-03-01T10:00:00.000Z') },
  from: 'engine-1',
});

const parcels = (payloads: readonly string[]) => payloads.map(parcelOf);

describe('payloads of notifications', () => {
  it('say in one remark that runs were enqueued, however many', () => {
    const many = Array.from({ length: 500 }, (_, n): ControlMessage => ({ kind: 'enqueued', runId: `r${n}` }));
    expect(parcels(payloadsOf('me', many))).toEqual([{ from: 'me', enqueued: true, echo: undefined, messages: [] }]);
  });

  it('carry messages in their order, as many together as fit', () => {
    const messages = Array.from({ length: 100 }, (_, n) => completed(`r${n}`, 'ü'.repeat(100)));
    const payloads = payloadsOf('me', [{ kind: 'enqueued', runId: 'r' }, ...messages]);
    expect(payloads.length).toBeLessThan(6);
    expect(payloads.every((payload) => Buffer.byteLength(payload) < 8000)).toBe(true);
    const carried = parcels(payloads).flatMap((parcel) => parcel?.messages ?? []);
    expect(carried).toEqual(JSON.parse(JSON.stringify(messages)));
    expect(parcels(payloads).map((parcel) => parcel?.enqueued)).toEqual([true, ...payloads.slice(1).map(() => false)]);
  });

  it('leave out what an event brings where it is too large, or no JSON', () => {
    for (const output of ['x'.repeat(8000), 1n]) {
      const [parcel] = parcels(payloadsOf('me', [completed('r', output)]));
      expect(parcel?.messages).toEqual([
        {
          kind: 'event',
          event: { type: 'run.completed', runId: 'r', at: '2026-03-01T10:00:00.000Z' },
          from: 'engine-1',
        },
      ]);
    }
    expect(payloadsOf('me', [{ kind: 'cancel', runId: 'x'.repeat(9000) }])).toEqual([]);
  });

  it('are believed only as far as they make sense: anybody may notify a channel', () => {
    expect(['', 'null', '[]', '"text"', '{"from":1}', '{'].map(parcelOf)).toEqual(Array(6).fill(undefined));
    const strange = {
      from: 'x',
      enqueued: 1,
      messages: [null, 1, { kind: 'event' }, { kind: 'cancel' }, { kind: 'new' }],
    };
    expect(parcelOf(JSON.stringify(strange))).toEqual({ from: 'x', enqueued: false, echo: undefined, messages: [] });
    expect(parcelOf('{"from":"x","messages":{}}')).toMatchObject({ messages: [] });
  });

  it('ask their sender', () => {
    expect(parcelOf(echoPayload('me', 'e'))).toEqual({ from: 'me', enqueued: false, echo: 'e', messages: [] });
  });
});
