import { KINDS } from '../support/databases';
import { type Ending, Experiment, type Finding, type Setting } from './experiment';
import { GUARDS } from './guards';
import type { Latency } from './latency';
import type { WindowOptions } from './options';
import { lineOf, tableOf } from './report';
import { World } from './world';

const ENDINGS: readonly Ending[] = ['completing', 'failing', 'suspending', 'signalled at once'];

/** Fill the table, cell by cell, each in a database of its own. */
export async function measure({ system, latency, pollMs, traces, ...size }: WindowOptions): Promise<void> {
  const findings: Finding[] = [];
  for (const pause of pollMs) {
    for (const ending of ENDINGS) {
      for (const guards of GUARDS) {
        const setting = { ...size, ending, guards, pollMs: pause };
        const finding = await carryOut(system, latency, setting);
        findings.push(finding);
        console.log(lineOf(finding));
        for (const trace of finding.traces.slice(0, traces)) console.log(`\n${trace.join('\n')}\n`);
      }
    }
  }
  const { runs, atOnce } = size;
  console.log(
    `\nRuns executed again, of ${runs}, ${atOnce} at a time, ${latency.join('–')} ms a statement, ${system}\n`,
  );
  console.log(tableOf(findings));
}

async function carryOut(system: WindowOptions['system'], latency: Latency, setting: Setting): Promise<Finding> {
  const kind = KINDS.find((each) => each.system === system && each.driver === system);
  if (!kind || kind.missing) throw new Error(kind?.missing ?? `no database for ${system}`);
  const world = await World.create(kind, latency);
  try {
    return await new Experiment(world, setting).carryOut();
  } finally {
    await world.drop();
  }
}
