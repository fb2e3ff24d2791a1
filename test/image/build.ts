/**
 * Carries a Dockerfile out without Docker. Each stage is a folder that stands for the root of its file system: `/app`
 * is `<folder>/app`. RUN lines run in their WORKDIR with the machine's shell, npm and coreutils, as whoever runs the
 * tests; of the base images there is only Node's program, and it is the one that runs the tests.
 */

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { delimiter, dirname, join, posix } from 'node:path';
import type { Instruction } from './dockerfile.ts';
import { npmSetUp } from './npm.ts';

/** What a stage has become. */
export interface Image {
  readonly base: string;
  /** The folder that stands for `/`. */
  readonly root: string;
  workdir: string;
  user: { readonly uid: number; readonly gid: number };
  readonly env: Record<string, string>;
  readonly volumes: string[];
  readonly ports: string[];
  /** `uid:gid` of what was copied with --chown, by path. */
  readonly owners: Map<string, string>;
  command: readonly string[];
  healthcheck: readonly string[];
}

type Copy = Extract<Instruction, { name: 'COPY' }>;

/** @returns the last stage. @throws Error with its output where a line fails. */
export function build(instructions: readonly Instruction[], context: string, folder: string): Image {
  const stages = new Map<string, Image>();
  let image: Image | undefined;
  for (const instruction of instructions) {
    if (instruction.name === 'FROM') {
      image = startStage(instruction.image, join(folder, `stage-${stages.size}`));
      stages.set(instruction.stage, image);
    } else if (image === undefined) throw new Error('The Dockerfile does not begin with FROM');
    else carryOut(instruction, image, stages, context);
  }
  if (image === undefined) throw new Error('The Dockerfile is empty');
  return image;
}

/** Where a path of the image is on this machine; a relative one is below WORKDIR. */
export function placeOf(image: Image, path: string): string {
  return join(image.root, posix.resolve(image.workdir, path));
}

function startStage(base: string, root: string): Image {
  mkdirSync(root, { recursive: true });
  const nobody = { uid: 0, gid: 0 };
  const lists = { env: {}, volumes: [], ports: [], owners: new Map<string, string>() };
  const image: Image = { base, root, workdir: '/', user: nobody, ...lists, command: [], healthcheck: [] };
  if (base.startsWith('node:')) {
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
    copyFileSync(process.execPath, join(root, 'usr/local/bin/node'));
    chmodSync(join(root, 'usr/local/bin/node'), 0o755);
  } else if (!base.startsWith('debian:')) throw new Error(`What is in ${base}?`);
  return image;
}

function carryOut(
  instruction: Exclude<Instruction, { name: 'FROM' }>,
  image: Image,
  stages: ReadonlyMap<string, Image>,
  context: string,
): void {
  switch (instruction.name) {
    case 'WORKDIR':
      image.workdir = posix.resolve(image.workdir, instruction.text);
      mkdirSync(placeOf(image, '.'), { recursive: true });
      return;
    case 'RUN':
      return run(instruction.text, image);
    case 'COPY':
      return copy(instruction, image, sourceOf(instruction, stages, context));
    case 'ENV':
      Object.assign(image.env, instruction.variables);
      return;
    case 'USER':
      image.user = { uid: instruction.uid, gid: instruction.gid };
      return;
    case 'VOLUME':
      image.volumes.push(...instruction.words);
      return;
    case 'EXPOSE':
      image.ports.push(...instruction.words);
      return;
    case 'CMD':
      image.command = instruction.command;
      return;
    case 'HEALTHCHECK':
      image.healthcheck = instruction.command;
  }
}

function run(command: string, image: Image): void {
  const home = join(image.root, 'root');
  mkdirSync(home, { recursive: true });
  const path = [join(image.root, 'usr/local/bin'), process.env.PATH ?? ''].join(delimiter);
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], {
    cwd: placeOf(image, '.'),
    env: { ...npmSetUp(), ...image.env, HOME: home, PATH: path },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`RUN ${command}\nended with ${status}\n${stdout}\n${stderr}`);
}

/** Where the paths of a COPY begin. */
function sourceOf({ from }: Copy, stages: ReadonlyMap<string, Image>, context: string): string {
  const source = from === undefined ? context : stages.get(from)?.root;
  if (source === undefined) throw new Error(`There is no stage ${from}`);
  return source;
}

/** A folder's contents go into the target; a file goes into a target that ends with `/`, or else becomes it. */
function copy({ sources, target, owner }: Copy, image: Image, from: string): void {
  const to = placeOf(image, target);
  const intoFolder = /(^|\/)\.?$/.test(target);
  if (sources.length > 1 && !intoFolder) throw new Error(`Many files do not become one: ${target}`);
  for (const name of sources) {
    const source = join(from, name);
    if (!existsSync(source)) throw new Error(`COPY finds no ${name}`);
    const isFolder = statSync(source).isDirectory();
    mkdirSync((isFolder && existsSync(to)) || intoFolder ? to : dirname(to), { recursive: true });
    // With modes and links as they are. A folder that is made by it has the mode of its source.
    const wanted = isFolder && existsSync(to) ? `${source}/.` : source;
    const { status, stderr } = spawnSync('cp', ['-a', wanted, to], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }
  if (owner !== undefined) image.owners.set(target, owner);
}
