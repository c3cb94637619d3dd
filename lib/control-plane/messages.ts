import type { ControlMessage } from '@dudousxd/nestjs-durable-core';
import { isObject } from '../../schemas/check-options';

/** What one notification carries. */
export interface Parcel {
  /** The control plane it comes from, which has told its own engines already. */
  readonly from: string;
  /** Whether runs were enqueued: whoever executes runs looks for them. */
  readonly enqueued: boolean;
  readonly messages: readonly ControlMessage[];
  /** The sender's question whether its own listener hears it. */
  readonly echo: string | undefined;
}

/** A payload of a PostgreSQL notification is shorter than 8,000 bytes. */
const LONGEST_BYTES = 7_999;
/** Room for who sends, and for what is around messages. */
const WRAPPING_BYTES = 150;
const LONGEST_MESSAGE_BYTES = LONGEST_BYTES - WRAPPING_BYTES;

/**
 * The fewest payloads that carry the messages in their order. Any number of runs enqueued is one remark, because whoever hears
 * it looks for runs. Of an event that is too large, or that JSON cannot say, what the workflow brings is left out.
 */
export function payloadsOf(from: string, messages: readonly ControlMessage[]): string[] {
  const batches = batched(messages.filter(({ kind }) => kind !== 'enqueued').flatMap(textOf));
  const enqueued = messages.some(({ kind }) => kind === 'enqueued');
  if (enqueued && batches.length === 0) batches.push([]);
  return batches.map((texts, n) => {
    const remark = enqueued && n === 0 ? ',"enqueued":true' : '';
    return `{"from":${JSON.stringify(from)}${remark},"messages":[${texts.join(',')}]}`;
  });
}

/** The payload of a question that its sender's own listener answers. */
export function echoPayload(from: string, echo: string): string {
  return JSON.stringify({ from, echo });
}

/** What a payload says; `undefined` for one that is none of ours: anybody may notify the channel. */
export function parcelOf(payload: string): Parcel | undefined {
  try {
    const parcel = JSON.parse(payload) as Partial<Parcel> | null;
    if (typeof parcel?.from !== 'string') return undefined;
    const messages = Array.isArray(parcel.messages) ? parcel.messages.filter(isMessage) : [];
    return { from: parcel.from, enqueued: parcel.enqueued === true, echo: parcel.echo, messages };
  } catch {
    return undefined;
  }
}

function isMessage(value: unknown): boolean {
  const message = value as Partial<Record<string, unknown>> | null;
  if (message?.kind === 'event') return isObject(message.event);
  return message?.kind === 'cancel' && typeof message.runId === 'string';
}

/** Texts in their order, as many together as a payload holds. */
function batched(texts: readonly string[]): string[][] {
  const batches: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const text of texts) {
    const length = Buffer.byteLength(text) + 1;
    if (bytes + length > LONGEST_MESSAGE_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(text);
    bytes += length;
  }
  return batches;
}

function textOf(message: ControlMessage): string[] {
  const text = [message, bare(message)].map(json).find((json) => Buffer.byteLength(json) < LONGEST_MESSAGE_BYTES);
  return text === undefined ? [] : [text];
}

/** The message without what a workflow brings, which may be of any size. */
function bare(message: ControlMessage): ControlMessage {
  if (message.kind !== 'event') return message;
  const { output, error, event, diagnostics, ...rest } = message.event;
  return { ...message, event: rest };
}

/** The message as JSON; longer than any payload where JSON cannot say it. */
function json(message: ControlMessage): string {
  try {
    return JSON.stringify(message);
  } catch {
    return UNSAYABLE;
  }
}

const UNSAYABLE = ' '.repeat(LONGEST_BYTES);
