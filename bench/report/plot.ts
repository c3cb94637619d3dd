import type { Result } from '../measures/measure';
import type { DatabaseName } from '../options';
import { LABELS, type SubjectName } from '../subjects';
import type { Environment } from './environment';
import { document, element, label, ticks } from './svg';
import { short } from './table';

const COLORS = ['#9aa5b1', '#1f6feb', '#2da44e', '#bf8700'];
const WIDTH = 900;
const LEFT = 230;
const RIGHT = 90;
const BAR = 12;

/** What a reader compares by length: bars for single cases, lines for a series. Axes begin at zero. */
export function plot(result: Result, database: DatabaseName, environment: Environment): string | undefined {
  if (result.plot === 'none') return undefined;
  const columns = result.columns.filter((column) => column !== 'memory');
  const head = [
    label(16, 24, `${result.title}, ${database}`, { 'font-size': 15, 'font-weight': 'bold' }),
    label(
      16,
      42,
      `${result.unit}, ${result.higherIsBetter ? 'more' : 'less'} is better. ${environment.machine}, Node ${environment.node}, ${environment.date}. One machine: compare the bars, do not quote the figures.`,
      { 'font-size': 11, fill: '#666' },
    ),
    ...columns.map((column, n) => legend(column, n)),
  ];
  const body = result.plot === 'bars' ? bars(result, columns) : lines(result, columns);
  return document(`${result.title}, ${database}`, WIDTH, body.height, [...head, ...body.parts]);
}

function legend(column: string, n: number): string {
  const x = 16 + n * 230;
  const swatch = element('rect', { x, y: 54, width: 11, height: 11, fill: color(n) });
  return swatch + label(x + 17, 64, LABELS[column as SubjectName] ?? column);
}

const TOP = 92;

function bars(result: Result, columns: readonly string[]) {
  const max = Math.max(...result.lines.flatMap((line) => columns.map((column) => line.figures[column]?.high ?? 0)));
  const scale = ticks(max);
  const x = (value: number) => LEFT + (value / (scale.at(-1) ?? 1)) * (WIDTH - LEFT - RIGHT);
  const groupHeight = columns.length * BAR + 10;
  const bottom = TOP + result.lines.length * groupHeight;
  const parts = scale.flatMap((tick) => [
    element('line', { x1: x(tick), x2: x(tick), y1: TOP - 6, y2: bottom, stroke: '#e3e7eb' }),
    label(x(tick), bottom + 16, short(tick), { 'text-anchor': 'middle', 'font-size': 11 }),
  ]);
  for (const [row, line] of result.lines.entries()) {
    const top = TOP + row * groupHeight;
    parts.push(label(LEFT - 10, top + groupHeight / 2, line.name, { 'text-anchor': 'end' }));
    for (const [n, column] of columns.entries()) {
      const figure = line.figures[column];
      if (!figure) continue;
      const y = top + n * BAR;
      const middle = y + BAR / 2 - 1;
      parts.push(element('rect', { x: LEFT, y, width: x(figure.median) - LEFT, height: BAR - 2, fill: color(n) }));
      // From the lowest to the highest round.
      parts.push(element('line', { x1: x(figure.low), x2: x(figure.high), y1: middle, y2: middle, stroke: '#222' }));
      parts.push(
        label(x(Math.max(figure.high, figure.median)) + 5, middle + 4, short(figure.median), { 'font-size': 10 }),
      );
    }
  }
  return { parts, height: bottom + 28 };
}

const PLOT_HEIGHT = 300;

function lines(result: Result, columns: readonly string[]) {
  const max = Math.max(...result.lines.flatMap((line) => columns.map((column) => line.figures[column]?.high ?? 0)));
  const scale = ticks(max);
  const bottom = TOP + PLOT_HEIGHT;
  const x = (position: number) => 80 + (position / Math.max(result.lines.length - 1, 1)) * (WIDTH - 80 - RIGHT);
  const y = (value: number) => bottom - (value / (scale.at(-1) ?? 1)) * PLOT_HEIGHT;
  const parts = scale.flatMap((tick) => [
    element('line', { x1: 80, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), stroke: '#e3e7eb' }),
    label(72, y(tick) + 4, short(tick), { 'text-anchor': 'end', 'font-size': 11 }),
  ]);
  for (const [position, line] of result.lines.entries()) {
    parts.push(label(x(position), bottom + 18, line.name, { 'text-anchor': 'middle' }));
  }
  for (const [n, column] of columns.entries()) {
    const points = result.lines.map((line, position) => ({ x: x(position), figure: line.figures[column] }));
    const path = points.flatMap(({ x, figure }) => (figure ? [`${x.toFixed(1)},${y(figure.median).toFixed(1)}`] : []));
    parts.push(element('polyline', { points: path.join(' '), fill: 'none', stroke: color(n), 'stroke-width': 2 }));
    for (const { x, figure } of points) {
      if (!figure) continue;
      parts.push(element('line', { x1: x, x2: x, y1: y(figure.low), y2: y(figure.high), stroke: '#222' }));
      parts.push(element('circle', { cx: x, cy: y(figure.median), r: 3.5, fill: color(n) }));
      parts.push(label(x + 8, y(figure.median) - 6, short(figure.median), { 'font-size': 11 }));
    }
  }
  return { parts, height: bottom + 34 };
}

function color(n: number): string {
  return COLORS[n % COLORS.length] as string;
}
