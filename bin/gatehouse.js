#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that an old one gets a sentence and not a syntax error.

import { existsSync } from 'node:fs';

if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(
    `gatehouse needs Node.js 24 or newer, this is ${process.version}. In the checkout, \`npx gatehouse\` and \`npm start\` run the pinned one.`,
  );
  process.exit(1);
}

const built = new URL('../dist/cli/main.js', import.meta.url);
const source = new URL('../src/cli/main.ts', import.meta.url);
if (existsSync(source)) {
  await import('../scripts/fresh.js');
  await import(source.href);
} else {
  await import(built.href);
}
