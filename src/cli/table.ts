/** Tables and lists of details for people: plain text, no colours, every cell made harmless. */

import CliTable, { type Table } from 'cli-table3';
import { shown } from './escape.ts';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** Width that the column may be cut to where the screen is narrow. Absent: it is never cut. */
  readonly least?: number;
  /** Left out where every row has it empty. */
  readonly optional?: true;
}

const GAP = 2;
const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((part) => [side + part, '']),
  ),
);

/** @param width columns of the screen; undefined: as wide as it gets. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): string {
  const kept = columns.filter((column) => !column.optional || rows.some((row) => column.text(row) !== ''));
  const cells = rows.map((row) => kept.map((column) => shown(column.text(row))));
  const head = kept.map((column) => column.title);
  const wide = kept.map((_, index) => Math.max(...[head, ...cells].map((row) => length(row[index] ?? ''))));
  const drawn: Table = new CliTable({
    chars: { ...NO_LINES, middle: ' '.repeat(GAP) },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    colWidths: width === undefined ? [] : narrowed(wide, kept, width),
    truncate: '…',
  });
  drawn.push(head, ...cells);
  return trimLines(drawn.toString());
}

/** Label and value in two columns; a value is never cut, as one may be a secret that is shown once. */
export function details(rows: readonly (readonly [label: string, value: string])[]): string {
  const widest = Math.max(0, ...rows.map(([label]) => label.length));
  return trimLines(rows.map(([label, value]) => `${label.padEnd(widest + GAP)}${shown(value)}`).join('\n'));
}

/** Takes from the widest column that may lose some until the table fits. Null: as wide as it wants. */
function narrowed<Row>(
  wide: readonly number[],
  columns: readonly Column<Row>[],
  width: number,
): (number | null)[] {
  const widths = [...wide];
  const sum = () => widths.reduce((total, one) => total + one + GAP, -GAP);
  while (sum() > width) {
    const spare = widths.map((one, index) => (one > (columns[index]?.least ?? one) ? one : 0));
    const widest = Math.max(...spare);
    if (widest === 0) break;
    widths[spare.indexOf(widest)] = widest - 1;
  }
  return widths.map((one, index) => (one === wide[index] ? null : one));
}

function length(text: string): number {
  return [...text].length;
}

function trimLines(text: string): string {
  return text.replaceAll(/ +$/gm, '');
}
