/** A few shapes of SVG, as text. */

type Attributes = Readonly<Record<string, string | number>>;

export function element(name: string, attributes: Attributes, content = ''): string {
  const list = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? Number(value.toFixed(1)) : escaped(value)}"`)
    .join('');
  return content === '' ? `<${name}${list}/>` : `<${name}${list}>${content}</${name}>`;
}

export function label(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, 'font-size': 12, fill: '#333', ...attributes }, escaped(content));
}

export function document(title: string, width: number, height: number, parts: readonly string[]): string {
  const background = element('rect', { width, height, fill: '#fff' });
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`;
  return `${[open, element('title', {}, escaped(title)), background, ...parts, '</svg>'].join('\n')}\n`;
}

/** Round steps from zero that reach `max`. */
export function ticks(max: number): number[] {
  const raw = max / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? raw;
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, n) => n * step);
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
}
