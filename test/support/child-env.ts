/** What each process that a test starts has of this one's environment. */

const { PATH, NODE_COMPILE_CACHE } = process.env;

/** With the cache of compiled code that `npm test` sets up: hundreds of processes are started. */
export const CHILD_ENV: Readonly<Record<string, string>> = {
  ...(PATH === undefined ? {} : { PATH }),
  ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
};
