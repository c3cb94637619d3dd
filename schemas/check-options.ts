/** What an option takes, in words, and whether a value is such. */
export interface OptionRule {
  readonly takes: string;
  accepts(value: unknown): boolean;
  /** The rules of an option that is itself an object of options. */
  readonly parts?: OptionRules;
  /** Whether the value must stay out of messages. */
  readonly isSecret?: boolean;
}

export type OptionRules = Readonly<Record<string, OptionRule>>;

/**
 * Refuse options that are no object, an option of an unknown name, and a value its option does not take. `undefined` stands for
 * the default everywhere.
 *
 * @throws TypeError that names the option, what it takes and what it got
 */
export function checkOptions(owner: string, options: unknown, rules: OptionRules, path = ''): void {
  if (options === undefined) return;
  if (!isObject(options)) throw new TypeError(`${owner}: options are an object, got ${shown(options)}`);
  for (const [name, value] of Object.entries(options)) {
    const option = path + name;
    if (!Object.hasOwn(rules, name)) {
      const known = Object.keys(rules).map((other) => path + other);
      throw new TypeError(`${owner}: there is no option ${option}; the options are ${known.join(', ')}`);
    }
    const rule = rules[name] as OptionRule;
    if (value === undefined) continue;
    if (!rule.accepts(value)) {
      const got = rule.isSecret ? kindOf(value) : shown(value);
      throw new TypeError(`${owner}: option ${option} takes ${rule.takes}, got ${got}`);
    }
    if (rule.parts && isObject(value)) checkOptions(owner, value, rule.parts, `${option}.`);
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value for a message: short ones as they are, others by their kind. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'object' || typeof value === 'function' ? kindOf(value) : String(value);
}

/** What a value is, for a message that must not show it. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value !== 'object') return value === undefined ? 'undefined' : `a ${typeof value}`;
  const name = value.constructor?.name ?? 'Object';
  return name === 'Object' ? 'an object' : `a ${name} object`;
}
