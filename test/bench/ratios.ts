/** A few ratios that tell soon whether something has made Verify dearer, in a run of about a minute. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveFilled } from './filled-gatehouse.ts';
import { GOOD, writeStreamVerifies, writeVerifies } from './keys.ts';
import { type LoadOptions, runLoad, VERIFY_STREAM } from './load.ts';
import { alternate, type Contender } from './rounds.ts';
import { startFile } from './server-process.ts';
import { saveResults } from './table.ts';
import { verifyEach } from './verify-each.ts';

const KEYS = 10_000;
const SECONDS = 1;
const BARE = 'bare node:http2';
const ONE = 'Verify of one key';
/** Only the long way reads this header. */
const ROUTED = 'x-gatehouse-on-behalf-of: bench';
/** Messages in flight on each connection. */
const STREAMED = { mode: 'stream', path: VERIFY_STREAM, inFlight: 64 } as const;

/** What one answers for a second of CPU, to what another does. By a name that says both. */
export type Ratios = Readonly<Record<string, number>>;

/** `npm run bench -- ratios`: measures them and keeps them, for `guard` to compare with. */
export async function run(): Promise<void> {
  const ratios = await measureRatios();
  for (const [name, ratio] of Object.entries(ratios)) console.log(`${name.padEnd(44)} ${ratio.toFixed(2)}`);
  saveResults('ratios', { ratios });
}

export async function measureRatios(): Promise<Ratios> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-ratios-'));
  const { gatehouse, tokens } = await serveFilled([{ count: KEYS }]);
  const bare = await startFile('bare.ts');
  try {
    const [all = []] = tokens;
    await verifyEach(gatehouse.grpc, gatehouse.rootKey, all);
    const credential = `authorization: Bearer ${gatehouse.rootKey}`;
    const one = writeVerifies(join(folder, 'one'), all.slice(0, 1));
    const many = writeVerifies(join(folder, 'many'), all);
    const streamed = writeStreamVerifies(join(folder, 'streamed'), all.slice(0, 1));
    const verify = (name: string, against: string, options: Partial<LoadOptions>): Contender => {
      const asked = { addr: gatehouse.grpc, bodies: one, headers: [credential], want: GOOD, ...options };
      return contender(name, gatehouse.pid ?? 0, against, asked);
    };
    const bareAsked = { addr: bare.addr, bodies: one, headers: [credential] };
    const rows = await alternate(
      [
        contender(BARE, bare.pid, BARE, bareAsked),
        verify(ONE, BARE, {}),
        verify('Verify of 10,000 keys', ONE, { bodies: many }),
        verify('VerifyStream', ONE, { ...STREAMED, bodies: streamed }),
        verify('Verify through the router', ONE, { headers: [credential, ROUTED] }),
      ],
      SECONDS,
    );
    const ratios = rows.flatMap(({ name, ratios }) =>
      Object.entries(ratios).map(([other, { perCpuSecond }]): [string, number] => [
        `${name} to ${other}`,
        perCpuSecond,
      ]),
    );
    return Object.fromEntries(ratios.filter(([name]) => name !== `${BARE} to ${BARE}`));
  } finally {
    bare.stop();
    await gatehouse.remove();
    rmSync(folder, { recursive: true });
  }
}

function contender(name: string, pid: number, against: string, asked: Omit<LoadOptions, 'args'>): Contender {
  const ask = async (calls: number) => (await runLoad({ ...asked, args: ['-n', String(calls)] })).rate;
  return { name, pid, against: { [against]: against }, ask };
}
