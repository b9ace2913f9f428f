// Renders tables and the picture from results.json alone.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPicture } from './picture.mjs';
import { describeNetwork } from './scenes.mjs';
import { disturbingShare, summarize, summarizeStarts } from './summary.mjs';

export const defaultOut = fileURLToPath(new URL('results', import.meta.url));

export async function render(out = defaultOut) {
  const results = JSON.parse(await readFile(join(out, 'results.json'), 'utf8'));
  const scenes = summarize(results);
  const starts = summarizeStarts(results);
  await writeFile(join(out, 'results.md'), createReport(results, scenes, starts));
  console.log(`\nIn ${out}: results.json, results.md`);
  try {
    // The same renderer as for the experiments.
    const { renderPng, renderSvg } = await import('../dist/node/experiment/pictures.js');
    const svg = await renderSvg(createPicture(results, scenes));
    await writeFile(join(out, 'speed.svg'), svg);
    await writeFile(join(out, 'speed.png'), await renderPng(svg));
    console.log('and speed.svg, speed.png');
  } catch (error) {
    console.log(`SKIP pictures: ${error.message}`);
  }
}

function createReport(results, scenes, starts) {
  const networks = groupBy(scenes, describeNetwork);
  return `${[
    ...createHead(results),
    ...createWarning(results),
    ...createOverview(results, networks),
    ...createStarts(results, starts),
    ...[...networks].flatMap(([title, own]) => createDetails(title, own, results)),
    ...createFailures(scenes),
  ].join('\n')}\n`;
}

function createHead({ made, bytes, limitS, contenders, skipped, runs }) {
  const [{ machine }] = made;
  const mostRuns = (id) =>
    Math.max(0, ...runs.filter(({ contender }) => contender === id).map(({ round }) => round));
  return [
    '# Sessions and their peers',
    '',
    `One file of ${bytes / 1e6} MB of random bytes, from memory to memory, from one host to N others:`,
    'network namespaces on one bridge. Medians of the runs that succeeded, contenders in turn; every',
    "receiver's copy compared to the byte after each run. Seconds are those of the sender's whole command,",
    `from its start to its end, with all receivers ready. A run is killed after ${limitS} s.`,
    '',
    ...made.map(
      ({ command, version, commit, date }) =>
        `\`${command}\` · version ${version} · commit ${commit} · ${date} ·`,
    ),
    `${machine.cores} × ${machine.cpu}, ${machine.kernel}, Node ${machine.node}`,
    '',
    '| contender | version | runs | as |',
    '|---|---|---|---|',
    ...contenders.map(
      ({ id, name, version, about }) =>
        `| ${name} | ${version ?? '–'} | ${mostRuns(id)} | ${about} |`,
    ),
    ...skipped.map(({ contender, why }) => `| ${contender} | – | 0 | skipped: ${why} |`),
    '',
    'All hosts share the same cores, so the more receivers, the more each contender competes with its',
    'own receivers. CPU is user and system time per GB of the file: of the sender, of each receiver, and of',
    "the whole machine with whatever else ran on it. The kernel's work at a receiver's side of the wire is done by whoever sends, and",
    'counted there. Receivers are started anew for each run, and are counted from when they are ready.',
    '',
    '*Batches* and *datagrams* tell what crosses the wire. In batches, what a program hands to the kernel in',
    'one call (UDP GSO, TCP segmentation) crosses as one packet, as if network cards did the cutting and',
    "joining. As datagrams, it is cut at the sender's host, at the machine's cost; each crosses alone and is",
    'lost alone, and may be joined again by the GRO of the receiver. Loss is random and each receiver its own,',
    'of UDP and of TCP, towards the receivers. In batches a loss takes a whole batch: such a table is for the',
    'record, not for comparing.',
    '',
  ];
}

function createWarning({ runs }) {
  const disturbed = runs.filter(({ otherShare }) => otherShare > disturbingShare).length;
  if (disturbed === 0) return [];
  return [
    `**In ${disturbed} of ${runs.length} runs other work took more than ${100 * disturbingShare} % of the machine.**`,
    '',
  ];
}

function createOverview({ contenders }, networks) {
  const lines = ['## Seconds', ''];
  for (const [title, scenes] of networks) {
    const counts = scenes.map(({ receiverCount }) => `N = ${receiverCount}`);
    lines.push(
      title,
      '',
      `| contender | ${counts.join(' | ')} |`,
      `|---|${'---|'.repeat(counts.length)}`,
    );
    for (const { id, name } of contenders) {
      const entries = scenes.map((scene) => scene.entries.find((entry) => entry.id === id));
      if (entries.some((entry) => entry !== undefined)) {
        lines.push(`| ${name} | ${entries.map(tellSeconds).join(' | ')} |`);
      }
    }
    lines.push('');
  }
  return lines;
}

function tellSeconds(entry) {
  if (entry === undefined) return '–';
  const { elapsedS, failures, runCount } = entry;
  if (failures.length === 0) return digits(elapsedS);
  const failed = `${failures.length} of ${runCount} failed`;
  return elapsedS === undefined ? failed : `${digits(elapsedS)} (${failed})`;
}

function createStarts({ flowBytes }, starts) {
  if (starts.length === 0) return [];
  const sizes = starts[0].bySize.map(({ bytes }) => `${bytes / 1e6} MB`);
  return [
    '## Time to the first data',
    '',
    `Seconds from the start of the command until its host has sent ${flowBytes / 1024} KiB, which no calling of`,
    'receivers alone does. The file is sparse.',
    '',
    `| contender | ${sizes.join(' | ')} |`,
    `|---|${'---|'.repeat(sizes.length)}`,
    ...starts.map(({ name, bySize }) => {
      return `| ${name} | ${bySize.map(({ startS }) => digits(startS)).join(' | ')} |`;
    }),
    '',
  ];
}

function createDetails(title, scenes, { losses }) {
  const rows = scenes.flatMap(({ receiverCount, entries }) =>
    entries.map((entry) =>
      [
        ...[receiverCount, entry.name, tellSeconds(entry), digits(entry.goodputMbPerS)],
        ...[entry.ratio, entry.transferMbPerS, entry.senderCpuSPerGb].map(digits),
        ...[entry.receiverCpuSPerGb, entry.machineCpuSPerGb].map(digits),
      ].join(' | '),
    ),
  );
  return [
    `## ${title[0].toUpperCase()}${title.slice(1)}`,
    '',
    '| N | contender | s | MB/s | ratio to p2mp | MB/s of transfer alone | CPU s/GB: sender | each receiver | machine |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    '',
    ...describeLoss(losses.filter((loss) => describeNetwork(loss) === title)),
  ];
}

/** The counts of the loss rules, for all contenders together. */
function describeLoss(losses) {
  if (losses.length === 0) return [];
  const total = (field) => losses.reduce((sum, loss) => sum + loss[field], 0);
  const [seen, batches] = [total('seenPackets'), total('batchPackets')];
  const percent = ((100 * total('droppedPackets')) / seen).toFixed(2);
  return [
    `Of ${seen.toLocaleString('en')} packets towards the receivers ${percent} % were dropped;`,
    `${batches === 0 ? 'none' : batches.toLocaleString('en')} of all packets were longer than a frame.`,
    '',
  ];
}

function createFailures(scenes) {
  const lines = scenes.flatMap((scene) =>
    scene.entries.flatMap(({ name, failures }) =>
      failures.map((failure) => {
        const network = describeNetwork(scene);
        return `- ${name}, N = ${scene.receiverCount}, ${network}: ${failure.replaceAll('\n', ' ')}`;
      }),
    ),
  );
  return lines.length === 0 ? ['No run failed.'] : ['## Failed runs', '', ...lines];
}

/** Three significant digits; – for a missing value. */
function digits(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return '–';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Map.groupBy is newer than the oldest Node that p2mp supports. */
function groupBy(values, keyOf) {
  const groups = new Map();
  for (const value of values) {
    const key = keyOf(value);
    groups.set(key, [...(groups.get(key) ?? []), value]);
  }
  return groups;
}
