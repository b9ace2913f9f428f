// Turns single runs into comparable figures: medians of successful runs, and counts of failures.
import { median } from './processes.mjs';

/** Share of the machine used by other work, above which a figure is doubtful. */
export const disturbingShare = 0.25;

/** @returns for each scene in order: { receiverCount, lossPercent, rateMbit, wire, entries } */
export function summarize({ runs, contenders, bytes }) {
  const scenes = new Map();
  for (const run of runs) {
    const { receiverCount, lossPercent, rateMbit, wire } = run;
    const scene = { receiverCount, lossPercent, rateMbit, wire };
    const key = JSON.stringify(scene);
    if (!scenes.has(key)) scenes.set(key, { ...scene, runs: [] });
    scenes.get(key).runs.push(run);
  }
  return [...scenes.values()].map(({ runs: own, ...scene }) => {
    const entries = contenders
      .map(({ id, name }) => ({ id, name, runs: own.filter(({ contender }) => contender === id) }))
      .filter((entry) => entry.runs.length > 0)
      .map((entry) => summarizeRuns(entry, scene.receiverCount, bytes));
    const p2mpS = entries.find(({ id }) => id === 'p2mp')?.elapsedS;
    for (const entry of entries) entry.ratio = entry.elapsedS / p2mpS;
    return { ...scene, entries };
  });
}

function summarizeRuns({ id, name, runs }, receiverCount, bytes) {
  const complete = runs.filter(({ failure }) => failure === undefined);
  const failures = runs.map(({ failure }) => failure).filter((failure) => failure !== undefined);
  const of = (field) => {
    const values = complete.map((run) => run[field]).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  const perGb = (seconds) => (seconds === undefined ? undefined : seconds / (bytes / 1e9));
  const elapsedS = of('elapsedS');
  const receiverCpuS = of('receiverCpuS');
  return {
    ...{ id, name, elapsedS, failures },
    runCount: runs.length,
    goodputMbPerS: elapsedS && bytes / 1e6 / elapsedS,
    transferMbPerS: of('transferS') && bytes / 1e6 / of('transferS'),
    senderCpuSPerGb: perGb(of('senderCpuS')),
    receiverCpuSPerGb: perGb(receiverCpuS && receiverCpuS / receiverCount),
    machineCpuSPerGb: perGb(of('machineCpuS')),
  };
}

/** @returns for each contender: { name, bySize: [{ bytes, startS }] } */
export function summarizeStarts({ starts, contenders }) {
  const sizes = [...new Set(starts.map(({ bytes }) => bytes))];
  return contenders
    .map(({ id, name }) => ({ name, own: starts.filter(({ contender }) => contender === id) }))
    .filter(({ own }) => own.length > 0)
    .map(({ name, own }) => ({
      name,
      bySize: sizes.map((bytes) => {
        const values = own.filter((start) => start.bytes === bytes && start.failure === undefined);
        const startS =
          values.length === 0 ? undefined : median(values.map((start) => start.startS));
        return { bytes, startS };
      }),
    }));
}
