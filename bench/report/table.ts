import type { Result } from '../measures/measure';
import type { Figure } from '../stats';

/** A result as text for a terminal. */
export function asTable({ title, unit, columns, lines, notes }: Result): string {
  const ratios = [...new Set(lines.flatMap((line) => Object.keys(line.ratios)))];
  const rows = [
    [`[${unit}]`, ...columns, ...ratios],
    ...lines.map((line) => [
      line.name,
      ...columns.map((column) => cell(line.figures[column])),
      ...ratios.map((name) => ratioCell(line.ratios[name])),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const text = rows.map((row) =>
    row
      .map((value, column) => (column === 0 ? value.padEnd(widths[0] ?? 0) : value.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return ['', title, ...text, ...notes.map((note) => `  ${note}`), ''].join('\n');
}

function cell(figure: Figure | undefined): string {
  if (!figure) return '–';
  const { median, low, high } = figure;
  return low === high ? short(median) : `${short(median)} (${short(low)}–${short(high)})`;
}

function ratioCell(figure: Figure | undefined): string {
  return figure ? `${figure.median.toFixed(2)}×` : '–';
}

/** A number with as many digits as it deserves. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
