/** Asks contenders in turns, so that whatever else the machine does meets them alike, and compares within each turn. */

import { cpuTimeOf } from './machine.ts';

const ROUNDS = Number(process.env.GATEHOUSE_BENCH_ROUNDS ?? 5);
/** How long one contender is asked in one round. */
const SECONDS = Number(process.env.GATEHOUSE_BENCH_SECONDS ?? 1.5);
/** To find out how many calls that are, and the fewest of any round. */
const FEWEST_CALLS = 500;
const NS = 1e9;

export interface Contender {
  readonly name: string;
  /** Whose CPU time counts. */
  readonly pid: number;
  /** Makes so many calls. @returns answers a second. @throws Error where one fails. */
  readonly ask: (calls: number) => Promise<number>;
  /** Other contenders by what their column is called: this one is to be compared with them. */
  readonly against: Readonly<Record<string, string>>;
}

/** One contender's medians. */
export interface Row {
  readonly name: string;
  /** Answers a second. */
  readonly rate: number;
  /** The server's CPU time for each answer, in microseconds. */
  readonly cpuMicros: number;
  /** Answers for each second of the server's CPU. */
  readonly perCpuSecond: number;
  /** Medians of each round's ratio, by the column's name. */
  readonly ratios: Readonly<Record<string, Ratio>>;
}

export interface Ratio {
  readonly rate: number;
  /** Of answers for each second of CPU. */
  readonly perCpuSecond: number;
}

interface Sample {
  readonly rate: number;
  readonly perCpuSecond: number;
}

async function sample({ ask, pid }: Contender, calls: number): Promise<Sample> {
  const before = cpuTimeOf(pid);
  const rate = await ask(calls);
  return { rate, perCpuSecond: (calls * NS) / (cpuTimeOf(pid) - before) };
}

/** How many calls fill one round. The contender is warm behind that. */
async function callsOf({ ask }: Contender, seconds: number): Promise<number> {
  const fill = (rate: number) => Math.max(FEWEST_CALLS, Math.ceil(rate * seconds));
  return fill(await ask(fill(await ask(FEWEST_CALLS))));
}

/** Measures all of them, in rounds of so many seconds for each. The rows have the contenders' order. */
export async function alternate(contenders: readonly Contender[], seconds = SECONDS): Promise<Row[]> {
  const calls: number[] = [];
  for (const contender of contenders) calls.push(await callsOf(contender, seconds));
  const rounds: ReadonlyMap<string, Sample>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const samples = new Map<string, Sample>();
    for (const [index, contender] of contenders.entries()) {
      samples.set(contender.name, await sample(contender, calls[index] ?? FEWEST_CALLS));
    }
    rounds.push(samples);
  }
  return contenders.map((contender) => rowOf(contender, rounds));
}

function rowOf({ name, against }: Contender, rounds: readonly ReadonlyMap<string, Sample>[]): Row {
  const figures = (of: string, figure: keyof Sample) => rounds.map((round) => round.get(of)?.[figure]);
  const middle = (figure: keyof Sample) => median(figures(name, figure));
  const ratio = (other: string, figure: keyof Sample) => {
    const others = figures(other, figure);
    return median(
      figures(name, figure).map((one, round) => (one ?? Number.NaN) / (others[round] ?? Number.NaN)),
    );
  };
  // Of those that are there: a peer may be missing.
  const others = Object.entries(against).filter(([, other]) => rounds[0]?.has(other));
  const ratios = others.map(([label, other]): [string, Ratio] => [
    label,
    { rate: ratio(other, 'rate'), perCpuSecond: ratio(other, 'perCpuSecond') },
  ]);
  const perCpuSecond = middle('perCpuSecond');
  return {
    name,
    rate: middle('rate'),
    cpuMicros: 1e6 / perCpuSecond,
    perCpuSecond,
    ratios: Object.fromEntries(ratios),
  };
}

export function median(figures: readonly (number | undefined)[]): number {
  const known = figures.filter((figure) => figure !== undefined);
  return known.sort((one, other) => one - other)[Math.floor(known.length / 2)] ?? Number.NaN;
}
