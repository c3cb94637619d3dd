import { DurableInputError } from './errors';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The engine's units of duration; `m` is minutes, and there are no months. */
const UNITS: Readonly<Record<string, number>> = {
  ...spelled(1, 'ms'),
  ...spelled(SECOND, 's', 'sec', 'second', 'seconds'),
  ...spelled(MINUTE, 'm', 'min', 'minute', 'minutes'),
  ...spelled(HOUR, 'h', 'hr', 'hour', 'hours'),
  ...spelled(DAY, 'd', 'day', 'days'),
  ...spelled(7 * DAY, 'w', 'week', 'weeks'),
};

/** Milliseconds of a duration: a number as it is, or decimal digits and a unit (`'90m'`, `'30 days'`). */
export function durationMs(duration: number | string, field: string): number {
  if (typeof duration === 'number') {
    if (!Number.isNaN(duration)) return duration;
  } else {
    const parts = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(duration.trim());
    const unit = parts?.[2]?.toLowerCase() ?? '';
    if (parts && Object.hasOwn(UNITS, unit)) return Number(parts[1]) * (UNITS[unit] as number);
  }
  throw new DurableInputError(
    'DURABLE_INVALID_QUERY',
    field,
    'must be milliseconds or a duration like "30d" (units ms s m h d w)',
  );
}

function spelled(ms: number, ...names: string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, ms]));
}
