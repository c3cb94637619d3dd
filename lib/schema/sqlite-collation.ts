/**
 * The collation a column declares in the text of its `create table`, in lower case; '' when it declares none, which
 * means bytewise. SQLite keeps it nowhere else.
 */
export function declaredCollation(createTable: string, column: string): string {
  const definition = definitions(createTable).find((text) => nameOf(text) === column.toLowerCase());
  const [, name] = /\bcollate\s+["'`[]?(\w+)/i.exec(withoutLiterals(definition ?? '')) ?? [];
  return (name ?? '').toLowerCase();
}

/** The comma-separated parts between the outer parentheses. */
function definitions(createTable: string): string[] {
  const body = createTable.slice(createTable.indexOf('(') + 1, createTable.lastIndexOf(')'));
  // A literal, a quoted name, or any other character: commas inside the first two, and inside parentheses, separate nothing.
  const tokens =
    body.match(/'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|[\s\S]/g) ?? [];
  const parts = [''];
  let depth = 0;
  for (const token of tokens) {
    if (token.startsWith('--') || token.startsWith('/*')) continue;
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (token === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += token;
  }
  return parts.map((part) => part.trim());
}

function nameOf(definition: string): string {
  const [, ...names] = /^(?:"([^"]*)"|`([^`]*)`|\[([^\]]*)\]|'([^']*)'|(\w+))/.exec(definition) ?? [];
  return (names.find((name) => name !== undefined) ?? '').toLowerCase();
}

function withoutLiterals(definition: string): string {
  return definition.replace(/'(?:[^']|'')*'/g, "''");
}
