import { counted, type History, type RunHistory } from './history';
import type { Judgement } from './judge';
import { isViolation, type Overlap, whyOverlapping } from './leases';

type Acknowledged = RunHistory['acknowledged'][number];
type Began = RunHistory['began'][number];

/** No body of a step begins once an execution of that step has been acknowledged. */
export function judgeExecutions(history: History): Judgement {
  const violations: string[] = [];
  const permitted: string[] = [];
  for (const { run, began, acknowledged } of history.runs.values()) {
    for (const again of began) {
      const first = acknowledged.find(({ step, at }) => step === again.step && at < again.at);
      if (!first) continue;
      const why = whyAgain(history, first, again);
      if (why === undefined || isViolation(why)) {
        const words = `${again.step} began on ${again.by} after ${first.by} had completed it`;
        violations.push(`${run}: ${words}, ${(again.at - first.at).toFixed(0)} ms later${why ? ` (${why})` : ''}`);
      } else {
        permitted.push(`${again.transaction ? 'transaction' : 'local step'} began again, ${why}`);
      }
    }
  }
  return {
    promise: 'no completed checkpoint is executed again',
    checked: `${history.all('began').length} bodies against ${history.all('acknowledged').length} acknowledgements`,
    violations,
    notes: counted(permitted),
  };
}

/** How a body could begin again; `undefined` when nothing permits it. */
function whyAgain(history: History, first: Acknowledged, again: Began): Overlap | undefined {
  const turn = history.turn(again.run, again.turn);
  const earlier = history.turn(first.run, first.turn);
  if (!turn || !earlier || turn === earlier) return undefined;
  // A turn that began before the acknowledgement may have looked before it, too.
  if (turn.readAt < first.at) return whyOverlapping(history, earlier, turn);
  return lateClaim(history, first, again.at);
}

/**
 * How a checkpoint could fall back to `running` after its acknowledgement and before `until`: another turn, which began
 * before it, claimed the step. `undefined` when there is no such claim.
 */
export function lateClaim(history: History, acknowledged: Acknowledged, until: number): Overlap | undefined {
  const { run, step, turn } = acknowledged;
  const earlier = history.turn(run, turn);
  const claims = history.of(run).claims.filter((claim) => claim.step === step && claim.at < until);
  for (const claim of claims) {
    const claiming = history.otherTurnAt(run, claim.by, claim.at, turn);
    if (!earlier || !claiming || claiming.readAt >= acknowledged.at) continue;
    // Of the claims of one process the acknowledged turn made one itself.
    if (claim.by === earlier.by && claims.filter(({ by }) => by === claim.by).length < 2) continue;
    // One that had ended when the acknowledged turn began has nothing on its way any more.
    const gone = history.gone.get(claim.by);
    if (gone && gone.at < earlier.at) continue;
    return whyOverlapping(history, earlier, claiming);
  }
  return undefined;
}
