// Loaded before a program (`node --import`), in its process: signals then reach the program itself, not a shell.

import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { generateIfStale } from './generate.js';
import { root } from './run-tool.js';

// What was compiled, and stripped of its types, is kept for the next start: that is a third of it. Beside the packages, and
// not where Node puts it by itself: what lies in a folder that everybody may write to is not to be run.
enableCompileCache(process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules/.cache/compiled'));

if (isMainThread) {
  try {
    generateIfStale();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
