import { DurableInputError } from './errors';
import { isError } from './failures';
import { payloadText } from './limits';
import type { PayloadCodec } from './types';

/** How payloads are stored: as their JSON, or as the JSON of what a codec makes of them. `undefined` is absent in either case. */
export class Payloads {
  constructor(private readonly codec?: PayloadCodec) {}

  /**
   * The text to store.
   *
   * @throws DurableInputError `DURABLE_INVALID_PAYLOAD` that quotes neither the payload nor what the codec says about it
   */
  text(value: unknown, field: string): string | null {
    if (!this.codec || value === undefined) return payloadText(value, field);
    const text = payloadText(this.encoded(this.codec, value, field), field);
    if (text === null) throw refused(field, 'the codec gave nothing that JSON can express');
    return text;
  }

  /** The payload of what was stored, JSON parsed. */
  value(stored: unknown): unknown {
    if (!this.codec) return stored;
    const value = this.codec.decode(stored);
    if (isPromise(value)) throw new TypeError(ASYNCHRONOUS);
    return value;
  }

  private encoded(codec: PayloadCodec, value: unknown, field: string): unknown {
    let encoded: unknown;
    try {
      encoded = codec.encode(value);
    } catch (error) {
      throw refused(field, `the codec threw ${isError(error) ? error.constructor.name : typeof error}`);
    }
    if (isPromise(encoded)) throw refused(field, ASYNCHRONOUS);
    return encoded;
  }
}

const ASYNCHRONOUS = 'the codec gave a promise, but has to be synchronous';

function refused(field: string, problem: string): DurableInputError {
  return new DurableInputError('DURABLE_INVALID_PAYLOAD', field, `cannot be encoded: ${problem}`);
}

/** Whether a codec works asynchronously; its promise is nobody's then, and must not end the process when it rejects. */
function isPromise(value: unknown): boolean {
  if (!(value instanceof Promise)) return false;
  value.catch(() => undefined);
  return true;
}
