import type { TableDefinition } from './definition';
import { WIDTHS } from './widths';

/** A row of `durable_run_attributes`: one search attribute of a run, in the column of its type. */
export interface RunAttributeRow {
  runId: string;
  key: string;
  strValue?: string | null;
  numValue?: number | null;
}

/** How many leading characters of a string attribute the index holds; longer values are told apart by the row itself. */
export const INDEXED_CHARACTERS = 190;

export const runAttribute: TableDefinition<RunAttributeRow> = {
  name: 'DurableRunAttribute',
  table: 'durable_run_attributes',
  columns: ({ key, text, double }) => ({
    runId: key(WIDTHS.runId, { primary: true }),
    key: key(WIDTHS.short, { primary: true }),
    strValue: text({ nullable: true }),
    numValue: double(),
  }),
  indexes: [
    // Runs by the value of a numeric attribute, equal or in a range.
    { name: 'durable_run_attributes_key_num_idx', properties: ['key', 'numValue'], thenKey: ['runId'] },
    // Runs by the value of a text attribute. Values may be longer than an index entry.
    {
      name: 'durable_run_attributes_key_str_idx',
      properties: ['key', 'strValue'],
      thenKey: ['runId'],
      on: {
        postgresql: { keys: ({ key, strValue }) => [key as string, `left(${strValue}, ${INDEXED_CHARACTERS})`] },
        mysql: { keys: ({ key, strValue }) => [key as string, `${strValue}(${INDEXED_CHARACTERS})`] },
      },
    },
  ],
};
