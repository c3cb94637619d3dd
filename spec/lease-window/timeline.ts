import type { MikroOrmStateStore, WorkflowRun } from '../../lib';

interface Entry {
  readonly who: string;
  readonly call: string;
  readonly from: number;
  to: number;
  answer: string;
}

/** The calls that two engines make for each run, to see how they interleaved. */
export class Timeline {
  private readonly entries = new Map<string, Entry[]>();

  /** The same store, its calls recorded under a name. */
  watch(who: string, store: MikroOrmStateStore): MikroOrmStateStore {
    return new Proxy(store, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => this.record(who, String(property), args, () => member.apply(target, args));
      },
    });
  }

  /** Note something that is no call. */
  note(runId: string, who: string, what: string): void {
    this.add(runId, { who, call: what, from: performance.now(), to: performance.now(), answer: '' });
  }

  /** What happened to a run, in the order of the calls. */
  of(runId: string): string[] {
    const entries = [...(this.entries.get(runId) ?? [])].sort((a, b) => a.from - b.from);
    const start = entries[0]?.from ?? 0;
    return entries.map(({ who, call, from, to, answer }) => {
      const span = `${(from - start).toFixed(0).padStart(5)} – ${(to - start).toFixed(0).padStart(5)} ms`;
      return `${span}  ${who.padEnd(6)} ${call}${answer && ` → ${answer}`}`;
    });
  }

  private async record(who: string, name: string, args: unknown[], call: () => unknown): Promise<unknown> {
    const from = performance.now();
    const result = await call();
    const entry = { who, call: textOf(name, args), from, to: performance.now(), answer: answerOf(result) };
    const listed = Array.isArray(result) && name.startsWith('list') ? (result as WorkflowRun[]) : [];
    for (const { id, status, lockedBy } of listed) {
      this.add(id, { ...entry, call: name, answer: `${status}${lockedBy ? ', leased' : ''}` });
    }
    const runId = runIdOf(args);
    if (runId !== undefined) this.add(runId, entry);
    return result;
  }

  private add(runId: string, entry: Entry): void {
    this.entries.set(runId, [...(this.entries.get(runId) ?? []), entry]);
  }
}

function runIdOf([first]: unknown[]): string | undefined {
  if (typeof first === 'string') return first.replace(/^(?:child|signal):/, '');
  const { runId, id } = (first ?? {}) as { runId?: string; id?: string };
  return runId ?? id;
}

function textOf(name: string, [, second]: unknown[]): string {
  const { status, recoveryAttempts } = (name === 'updateRun' ? second : {}) as Partial<WorkflowRun>;
  const patch = [status, recoveryAttempts && `recoveryAttempts ${recoveryAttempts}`].filter(Boolean);
  return patch.length > 0 ? `${name}(${patch.join(', ')})` : name;
}

function answerOf(result: unknown): string {
  if (typeof result === 'boolean' || result === null) return String(result);
  const { status } = (result ?? {}) as { status?: string };
  return status ?? '';
}
