import type { GroupCommit } from './group-commit';
import type { Condition } from './scope';
import type { Row } from './session';
import type { Sharing } from './sharing';

/** A whole select and its parameters. */
export type Question = Condition;

interface Asked {
  readonly group: GroupCommit<undefined, Row[]>;
  callers: number;
}

/**
 * Reads that many ask at once in the same words: poll scans, the waiters of an event, the runs behind a singleton. Whoever
 * asks while the same question is under way shares the next answer with all that came meanwhile: it is read after they asked.
 */
export class Questions {
  private readonly asked = new Map<string, Asked>();

  constructor(private readonly sharing: Sharing) {}

  /** The rows of the answer. They are everybody's: decode them, change nothing. */
  async ask(label: string, question: Question): Promise<readonly Row[]> {
    const words = `${question.text}\u0000${JSON.stringify(question.params)}`;
    const asked = this.asked.get(words) ?? { group: this.group(label, question), callers: 0 };
    this.asked.set(words, asked);
    asked.callers += 1;
    try {
      return await asked.group.submit(undefined);
    } finally {
      asked.callers -= 1;
      if (asked.callers === 0) this.asked.delete(words);
    }
  }

  private group(label: string, { text, params }: Question): GroupCommit<undefined, Row[]> {
    return this.sharing.grouped<undefined, Row[]>({
      run: async (callers) => {
        const rows = await this.sharing.call(label, 'repeatable', (sql) => sql.rows(text, params));
        return callers.map(() => rows);
      },
      size: () => 0,
      // It is one question, and fails for everybody.
      divisible: () => false,
    });
  }
}
