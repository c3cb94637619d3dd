import type { RunAttributeRow } from '../schemas/run-attribute';
import type { Param, Sql } from './session';
import type { Tables } from './tables';

/** Statements on the attribute rows of one run, which its row lock protects. */
export class Attributes {
  constructor(private readonly tables: Tables) {}

  async insert(sql: Sql, rows: readonly RunAttributeRow[]): Promise<void> {
    if (rows.length > 0) await sql.run(this.insertText(rows.length), this.params(rows));
  }

  /**
   * Make `rows` the run's attributes by touching only what differs, in key order: deleting and inserting everything
   * takes gap locks on which rewrites of different runs deadlock.
   */
  async replace(sql: Sql, runId: string, rows: readonly RunAttributeRow[]): Promise<void> {
    const { attributes } = this.tables;
    const byRun = `where ${attributes.column('runId')} = ?`;
    const select = `select ${attributes.selection} from ${attributes.name} ${byRun}${sql.dialect.asCommitted}`;
    const found = await sql.rows(select, [runId]);
    // One that cannot be read is none of the new ones.
    const stored = new Map(attributes.decodeReadable(found).map((row) => [row.key, row]));
    const changed = rows.filter((row) => !isSame(stored.get(row.key), row));
    const kept = new Set(rows.map(({ key }) => key));
    const gone = found.map(({ key }) => String(key)).filter((key) => !kept.has(key));
    gone.sort();
    if (gone.length > 0) {
      const keys = gone.map(() => '?').join(', ');
      await sql.run(`delete from ${attributes.name} ${byRun} and ${attributes.column('key')} in (${keys})`, [
        runId,
        ...gone,
      ]);
    }
    if (changed.length === 0) return;
    const conflict = sql.dialect.replaceConflict(
      [attributes.column('runId'), attributes.column('key')],
      [attributes.column('strValue'), attributes.column('numValue')],
    );
    await sql.run(this.insertText(changed.length) + conflict, this.params(changed));
  }

  private insertText(count: number): string {
    const { attributes } = this.tables;
    const columns = attributes.properties.map((property) => attributes.column(property)).join(', ');
    const values = Array.from({ length: count }, () => `(${attributes.properties.map(() => '?').join(', ')})`);
    return `insert into ${attributes.name} (${columns}) values ${values.join(', ')}`;
  }

  private params(rows: readonly RunAttributeRow[]): Param[] {
    const { attributes } = this.tables;
    return rows.flatMap((row) => attributes.properties.map((property) => attributes.encode(property, row[property])));
  }
}

function isSame(stored: RunAttributeRow | undefined, row: RunAttributeRow): boolean {
  return (
    stored !== undefined && (stored.strValue ?? null) === row.strValue && (stored.numValue ?? null) === row.numValue
  );
}
