/** By how much a row of figures rises, where noise is on each of them. */

/**
 * The rise of the straight line of least squares, from the first figure to the last, as a share of their mean. Negative where
 * it falls, 0 for fewer than two.
 */
export function riseOf(figures: readonly number[]): number {
  const count = figures.length;
  if (count < 2) return 0;
  const middle = (count - 1) / 2;
  const mean = figures.reduce((sum, figure) => sum + figure, 0) / count;
  let [product, square] = [0, 0];
  for (const [index, figure] of figures.entries()) {
    product += (index - middle) * (figure - mean);
    square += (index - middle) ** 2;
  }
  return ((product / square) * (count - 1)) / mean;
}
