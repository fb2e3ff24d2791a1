// Loaded before a program (`node --import`), in its process: signals then reach the program itself, not a shell.

import { isMainThread } from 'node:worker_threads';
import { generateIfStale } from './generate.js';

if (isMainThread) {
  try {
    generateIfStale();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
