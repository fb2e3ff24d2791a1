/**
 * Whether to take the time and the numbers that the guarantees speak of (a minute, five times, 100,000 keys, ...), allow no
 * call to go unanswered, and print what was measured. On a machine that does nothing else:
 *
 *     GATEHOUSE_TEST_LONG=1 npm test -- --maxWorkers=1 <files>
 *
 * `npm test` alone does less of the same.
 */
export const LONG = Boolean(process.env.GATEHOUSE_TEST_LONG);
