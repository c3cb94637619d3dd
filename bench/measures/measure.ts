import type { Place } from '../databases';
import type { BenchOptions } from '../options';
import type { Figure } from '../stats';
import type { SubjectName } from '../subjects';

/** What a measure is given. */
export interface Context {
  readonly place: Place;
  readonly options: BenchOptions;
  /** The subjects that can be had. */
  readonly subjects: readonly SubjectName[];
  /** Say on the terminal where the work stands. */
  progress(text: string): void;
}

/** One line of a table: what was measured, a figure per column, and how columns compare. */
export interface Line {
  readonly name: string;
  readonly figures: Readonly<Record<string, Figure>>;
  /** Quotients taken round by round. */
  readonly ratios: Readonly<Record<string, Figure>>;
}

/** The outcome of a measure on one database. */
export interface Result {
  readonly measure: string;
  readonly title: string;
  readonly unit: string;
  /** Whether a larger figure is the better one. */
  readonly higherIsBetter: boolean;
  readonly columns: readonly string[];
  readonly lines: readonly Line[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
  readonly plot: 'bars' | 'lines' | 'none';
}
