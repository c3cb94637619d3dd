/** Statement text that depends only on how many rows it is for, built once per number. */
export function perCount(build: (count: number) => string): (count: number) => string {
  const texts = new Map<number, string>();
  return (count) => {
    const known = texts.get(count);
    if (known !== undefined) return known;
    const text = build(count);
    texts.set(count, text);
    return text;
  };
}

/** `part` as often as `count` says, with `separator` between. */
export function repeated(part: string, count: number, separator = ', '): string {
  return Array.from({ length: count }, () => part).join(separator);
}
