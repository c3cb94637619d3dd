import { runCommand } from '../spec/support/command';
import { locate, type Place } from './databases';
import { boot } from './measures/boot';
import { engine } from './measures/engine';
import { fanOut } from './measures/fan-out';
import { groups } from './measures/groups';
import { handOver } from './measures/hand-over';
import { latency } from './measures/latency';
import { layers } from './measures/layers';
import { load } from './measures/load';
import type { Context, Result } from './measures/measure';
import { profile } from './measures/profile';
import { scale } from './measures/scale';
import { settings } from './measures/settings';
import { throughput } from './measures/throughput';
import { workers } from './measures/workers';
import { type BenchOptions, type MeasureName, parseOptions, USAGE } from './options';
import { environment } from './report/environment';
import { refreshPage } from './report/page';
import { publish } from './report/publish';
import { asTable } from './report/table';
import { availableSubjects } from './subjects';

type Measure = (context: Context) => Promise<Result | Result[] | undefined>;

const MEASURE: Record<MeasureName, Measure> = {
  layers,
  profile,
  latency,
  throughput,
  engine,
  load,
  workers,
  'hand-over': handOver,
  'fan-out': fanOut,
  groups,
  settings,
  boot,
  scale,
};

async function main(options: BenchOptions): Promise<void> {
  const subjects = availableSubjects();
  for (const database of options.databases) {
    const place = await locate(database);
    if (!place) continue;
    try {
      await measureAll({ place, options, subjects, progress });
    } finally {
      await place.stop();
    }
  }
}

async function measureAll(context: Context & { place: Place }): Promise<void> {
  const { place, options } = context;
  const about = await environment(place);
  console.log(
    `\n== ${place.database} ==\n${Object.entries(about)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n')}`,
  );
  for (const name of options.measures) {
    const started = performance.now();
    const outcome = (await MEASURE[name](context)) ?? [];
    progress('');
    for (const result of Array.isArray(outcome) ? outcome : [outcome]) {
      console.log(asTable(result));
      publish(options.out, place.database, result, about);
    }
    console.log(`  (${name}: ${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
  refreshPage(options.out);
  console.log(`\nJSON and plots are in ${options.out}`);
}

/** One line that is written over. */
function progress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`);
}

runCommand(parseOptions, USAGE, main);
