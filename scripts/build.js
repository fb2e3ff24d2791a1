// dist/: the JavaScript and the types of a published package or an image.

import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { generateIfStale } from './generate.js';
import { root, runTool } from './run-tool.js';

generateIfStale();
rmSync(join(root, 'dist'), { recursive: true, force: true });
process.exitCode = runTool('typescript/bin/tsc', ['-p', 'tsconfig.build.json']);
// What is generated is JavaScript and types already.
cpSync(join(root, 'src/gen'), join(root, 'dist/gen'), { recursive: true });
