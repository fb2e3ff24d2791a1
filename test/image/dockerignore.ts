/** Which paths .dockerignore keeps out of a build: the last line that names the path, or a folder above it, decides. */

/**
 * @param text of a .dockerignore.
 * @returns whether a path, relative and with `/`, is kept out.
 * @throws Error where a line has a sign that this reader does not know.
 */
export function ignoredBy(text: string): (path: string) => boolean {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const rules = lines.map((line) => ({
    keeps: line.startsWith('!'),
    expression: expressionOf(line.replace(/^!/, '')),
  }));
  return (path) => rules.findLast(({ expression }) => expression.test(path))?.keeps === false;
}

function expressionOf(pattern: string): RegExp {
  if (/[[\]\\?!\s]|^\/|\/$/.test(pattern))
    throw new Error(`The reader of .dockerignore does not know: ${pattern}`);
  const source = pattern
    .replace(/[.+^$(){}|]/g, '\\$&')
    .replace(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'));
  return new RegExp(`^${source}(?:/|$)`);
}
