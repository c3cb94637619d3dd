/** A stored value that is none of its column's type. The message says what it is not, and quotes nothing of it. */
export class UnreadableValue extends TypeError {
  override readonly name = 'UnreadableValue';
}

/** A number of JavaScript from a column's raw value. */
export function readNumber(raw: unknown): number {
  const number = typeof raw === 'string' && raw.trim() === '' ? Number.NaN : Number(raw);
  if (Number.isNaN(number)) throw new UnreadableValue('is no number');
  return number;
}

/** What JSON text says. `JSON.parse` itself would quote the text in its error. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnreadableValue('is no JSON');
  }
}
