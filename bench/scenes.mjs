// The networks in which the contenders are compared. The full product would take hours.

const receiverCounts = [1, 3, 8];

/** Each row is every combination of its lists; long runs have `runShare` of the usual number. */
const usual = [
  { ratesMbit: [0], lossPercents: [0], wires: ['batches'] },
  { ratesMbit: [0], lossPercents: [0, 1, 5, 20], wires: ['datagrams'] },
  { ratesMbit: [1000], lossPercents: [0], wires: ['batches'] },
  { ratesMbit: [1000], lossPercents: [1], wires: ['datagrams'] },
  // A slow link dominates everything else, so there is little to vary.
  { ratesMbit: [100], lossPercents: [0], wires: ['batches'], runShare: 0.4 },
  // For the record: the effect of a drop rule on batches that cross whole; see lab.mjs.
  { counts: [3], ratesMbit: [0], lossPercents: [5], wires: ['batches'], runShare: 0.4 },
];

/** @returns scenes as { receiverCount, lossPercent, rateMbit, wire, runs } */
export function createScenes(options, runs) {
  const named = ['receiverCounts', 'lossPercents', 'ratesMbit', 'wires'];
  if (named.every((name) => options[name] === undefined)) {
    return usual.flatMap((row) => combine({ counts: receiverCounts, ...row }, runs));
  }
  const { lossPercents = [0], ratesMbit = [0], wires } = options;
  const counts = options.receiverCounts ?? receiverCounts;
  return lossPercents.flatMap((lossPercent) =>
    combine(
      {
        ...{ counts, ratesMbit, lossPercents: [lossPercent] },
        wires: wires ?? [lossPercent > 0 ? 'datagrams' : 'batches'],
      },
      runs,
    ),
  );
}

function combine({ counts, lossPercents, ratesMbit, wires, runShare = 1 }, runs) {
  return wires.flatMap((wire) =>
    ratesMbit.flatMap((rateMbit) =>
      lossPercents.flatMap((lossPercent) =>
        counts.map((receiverCount) => ({
          ...{ receiverCount, lossPercent, rateMbit, wire },
          runs: Math.max(1, Math.round(runs * runShare)),
        })),
      ),
    ),
  );
}

export function describeScene({ receiverCount, ...scene }) {
  const receivers = receiverCount === 1 ? '1 receiver' : `${receiverCount} receivers`;
  return `${receivers}, ${describeNetwork(scene)}`;
}

export function describeNetwork({ lossPercent, rateMbit, wire }) {
  const link = { 0: 'unlimited', 1000: '1 Gbit/s' }[rateMbit] ?? `${rateMbit} Mbit/s`;
  return `link ${link}, loss ${lossPercent} %, ${wire}`;
}
