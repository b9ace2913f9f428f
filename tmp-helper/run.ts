import { drawSessionScenario } from '../test/support/session-scenario.js';
import { complaintsAboutSession, completionBoundMs } from '../test/support/session-scenario-check.js';
import { runSessionScenario } from '../test/support/session-scenario-run.js';
const [from, to] = process.argv.slice(2).map(Number) as [number, number];
let bad = 0; const t0 = performance.now(); let slow: [number, number][] = [];
for (let n = from; n <= to; n++) {
  const t = performance.now();
  let c: string[];
  try {
    const s = drawSessionScenario(n);
    c = complaintsAboutSession(s, runSessionScenario(s));
  } catch (e) { c = [`threw ${(e as Error).stack?.split('\n').slice(0, 4).join(' | ')}`]; }
  slow.push([performance.now() - t, n]);
  if (c.length > 0) { bad++; if (bad <= 60) console.log(n, c.slice(0, 3).join(' ;; ').slice(0, 420)); }
}
slow.sort((a, b) => b[0] - a[0]);
console.log('bad', bad, 'of', to - from + 1, 'ms', Math.round(performance.now() - t0), 'slowest', slow.slice(0, 6).map(([m, n]) => `${n}:${Math.round(m)}`).join(' '));
