/** Reads a Dockerfile as far as ours goes. What it does not know it refuses, so that nothing is passed over. */

export type Instruction =
  | { readonly name: 'FROM'; readonly image: string; readonly stage: string }
  | { readonly name: 'WORKDIR' | 'RUN'; readonly text: string }
  | {
      readonly name: 'COPY';
      /** A stage; undefined: the build context. */
      readonly from: string | undefined;
      /** `uid:gid` */
      readonly owner: string | undefined;
      readonly sources: readonly string[];
      readonly target: string;
    }
  | { readonly name: 'ENV'; readonly variables: Readonly<Record<string, string>> }
  | { readonly name: 'USER'; readonly uid: number; readonly gid: number }
  | { readonly name: 'VOLUME' | 'EXPOSE'; readonly words: readonly string[] }
  | { readonly name: 'HEALTHCHECK' | 'CMD'; readonly command: readonly string[] };

/** @throws Error that names the line which is more than this reader knows. */
export function parseDockerfile(text: string): Instruction[] {
  const joined = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n/g, ' ');
  const lines = joined.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map(parseLine);
}

function parseLine(line: string): Instruction {
  const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
  const refuse = (): never => {
    throw new Error(`The reader of Dockerfiles does not know: ${line}`);
  };
  // Shell forms and here-documents mean more than their words.
  if (/<<|^\[/.test(rest) && name !== 'CMD') refuse();
  if (/[$*?"'\\]/.test(rest) && !['RUN', 'HEALTHCHECK', 'CMD'].includes(name)) refuse();
  const { flags, words } = split(rest);
  const only = (...known: string[]) => Object.keys(flags).every((flag) => known.includes(flag)) || refuse();

  switch (name) {
    case 'FROM': {
      const [, image = refuse(), stage = ''] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? [];
      return { name, image, stage };
    }
    case 'RUN':
      // A path that leaves the folder would reach the machine that carries the line out.
      if (/(^|[^\w.*\-/])[/~]|\.\.|\$/.test(rest)) refuse();
      only();
      return { name, text: rest };
    case 'WORKDIR':
      return { name, text: rest };
    case 'COPY': {
      only('from', 'chown');
      const target = words.at(-1) ?? refuse();
      return { name, from: flags.from, owner: flags.chown, sources: words.slice(0, -1), target };
    }
    case 'ENV':
      return { name, variables: Object.fromEntries(words.map((word) => pair(word) ?? refuse())) };
    case 'USER': {
      const [, uid, gid] = /^(\d+):(\d+)$/.exec(rest) ?? refuse();
      return { name, uid: Number(uid), gid: Number(gid) };
    }
    case 'VOLUME':
    case 'EXPOSE':
      return { name, words };
    case 'HEALTHCHECK':
      only('interval', 'timeout', 'start-period');
      return { name, command: JSON.parse(/ CMD (\[.*\])$/.exec(rest)?.[1] ?? refuse()) };
    case 'CMD':
      return { name, command: rest.startsWith('[') ? JSON.parse(rest) : refuse() };
    default:
      return refuse();
  }
}

function split(rest: string): { flags: Record<string, string>; words: string[] } {
  const all = rest.split(/\s+/);
  const flags = all.slice(
    0,
    all.findIndex((word) => !word.startsWith('--')),
  );
  const named = flags.map((flag) => pair(flag.slice(2)) ?? [flag, '']);
  return { flags: Object.fromEntries(named), words: all.slice(flags.length) };
}

function pair(text: string): [string, string] | undefined {
  const [, name, value] = /^([A-Za-z_-]+)=(.*)$/.exec(text) ?? [];
  return name === undefined || value === undefined ? undefined : [name, value];
}
