import { Cluster } from './cluster.ts';
import { Clients } from './clients.ts';
const all: Record<string, any> = {};
for (const f of process.argv[2]!.split(',')) Object.assign(all, await import(`./scenarios/${f}.ts`));
const names = process.argv[3]?.split(',') ?? Object.keys(all);
const t0 = performance.now();
const cluster = await Cluster.start({ main: process.env.MAIN_TS ?? new URL('../../../src/main.ts', import.meta.url).pathname, redis: process.env.REDIS_PROG ?? process.env.GATEHOUSE_TEST_REDIS! });
console.log('started', Math.round(performance.now() - t0));
try {
  for (const name of names) {
    const clients = new Clients(cluster);
    const t = performance.now();
    let error;
    try { await all[name].run(cluster, clients); } catch (e) { error = e; }
    console.log(name, Math.round(performance.now() - t), 'ms', clients.violations.slice(0, 5), clients.counts, error ?? '');
    await cluster.heal(); await cluster.leased();
  }
} finally { await cluster.remove(); }
