/** Checks the invariants of relays and of the clients behind them. */
import type { TimeMs } from '../../src/base/machine.js';
import type { ClientRun, RelayRun, RelaysRun } from './relays-run.js';
import {
  type ClientScenario,
  type OriginScenario,
  type RelayScenario,
  type RelaysScenario,
  relaysMssBytes,
} from './relays-scenario.js';
import type { FetchWatch } from './watched-fetch.js';
import { type Check, checkLiars, checkRepetitions } from './watched-fetch-check.js';

/** @returns one line per violation; none for a good run */
export function complaintsAboutRelays(scenario: RelaysScenario, run: RelaysRun): string[] {
  const complaints: string[] = [];
  const checkOf =
    (who: string): Check =>
    (isGood, complaint) => {
      const line = `${who}: ${complaint}`;
      if (!isGood && !complaints.includes(line)) complaints.push(line);
    };
  const check = checkOf('all');
  check(run.isAtRest, 'not at rest');
  check(run.busyOrigins.length === 0, `${run.busyOrigins.join()} still know somebody`);
  for (const client of run.clients) checkClient(scenario, run, client, checkOf(client.name));
  for (const relay of run.relays) checkRelay(scenario, relay, checkOf(relay.name));
  return complaints;
}

// --- Clients

function checkClient(
  scenario: RelaysScenario,
  run: RelaysRun,
  { name, lives, isIdle, isDown, stored }: ClientRun,
  check: Check,
): void {
  const client = scenario.clients.find((each) => each.name === name) as ClientScenario;
  const { result, endMs = Infinity } = lives.at(-1) as FetchWatch;
  for (const life of lives) {
    checkWatched(scenario, client, life, false, check);
    for (const event of life.events) if (event.type === 'left') checkReason(event.reason, check);
  }
  if (client.leavesAtMs !== undefined && isDown) return;
  check(isIdle, 'still waits for something');
  const boundMs = latestMs(scenario);
  check(endMs <= boundMs, `the end at ${endMs.toFixed()} ms, not by ${boundMs.toFixed()}`);
  if (result?.status === 'complete') {
    const content = run.contents.get(result.object?.contentRoot ?? '');
    const isRight = content !== undefined && Buffer.from(content).equals(stored as Uint8Array);
    check(isRight, 'the stored content is not what its root says');
    const versions = run.versions.get(client.objectName);
    const isOwn = versions?.contents.has(result.object?.contentRoot ?? '') === true;
    check(isOwn, 'another object was fetched');
    const [right] = versions?.contents.keys() ?? [];
    const isRightVersion = result.object?.contentRoot === right;
    check(!client.isPinned || isRightVersion, 'other content was fetched than asked for');
    check(!isRightVersion || !mustBeNew(scenario, client), 'out of date');
  } else {
    checkReason(result?.reason ?? 'no end', check);
    check(!mustComplete(scenario, client), `not complete: ${result?.reason ?? 'no end'}`);
  }
}

/** Every reason that a user may read. */
const clearReasons = [
  /^no source for [\d.]+ s/,
  /has sent nothing of what it was asked for in/,
  /has offered the content \d+ times and sent nothing of it/,
  /the sources hold different content under this name; fetch one by its root$/,
  /no such object/,
  /has changed at the server; fetch it again$/,
  /asks itself for it, through other relays/,
  // As it seems to a host whose server has died after its first answer.
  /silently drops datagrams of \d+ bytes, although small ones arrive/,
  /holds? another version by now/,
  /answers, but has made no progress|no response from the (?:sender|server)/,
  /no answer for \d+ s|has fallen silent|has not responded for \d+ s|has begun a new session/,
  /sent a block with wrong content|sent digests that do not lead to the root|sent a wrong manifest/,
  /holds other content|offers (?:another|a wrong) size/,
  /does not know the digests/,
  // Why a relay stops a fill.
  /^nobody fetches it any more$/,
];

function checkReason(reason: string, check: Check): void {
  check(
    clearReasons.some((each) => each.test(reason)),
    `unclear: ${reason}`,
  );
}

/** Whether the client can expect the object. */
function mustComplete(scenario: RelaysScenario, { from, isPinned, leavesAtMs }: ClientScenario) {
  const { origins } = scenario;
  const isAmbiguous = origins.some(
    ({ served, changesAtMs }) =>
      changesAtMs !== undefined || ['other', 'wrong-size', 'wrong-manifest'].includes(served),
  );
  if (leavesAtMs !== undefined || (!isPinned && isAmbiguous)) return false;
  return from.some((name) => canGive(scenario, name, []));
}

/** Whether a host can give what is right, directly or through honest hosts. */
function canGive(
  { origins, relays, ...rest }: RelaysScenario,
  name: string,
  behind: readonly string[],
): boolean {
  if (behind.includes(name)) return false;
  const origin = origins.find((each) => each.name === name);
  if (origin !== undefined)
    return origin.served === 'right' && origin.changesAtMs === undefined && returns(origin);
  const relay = relays.find((each) => each.name === name) as RelayScenario;
  if (relay.lie !== undefined || !returns(relay)) return false;
  const scenario = { origins, relays, ...rest };
  return relay.from.some((each) => canGive(scenario, each, [...behind, name]));
}

function returns({ outages }: OriginScenario | RelayScenario): boolean {
  return outages.every(({ endMs }) => endMs < Infinity);
}

/** Whether all that the client can reach has changed before it began, so that it must not get what was there before. */
function mustBeNew({ origins, relays }: RelaysScenario, client: ClientScenario): boolean {
  const { startsAtMs, isPinned } = client;
  const hasOutages = [...origins, ...relays].some(({ outages }) => outages.length > 0);
  if (isPinned || hasOutages) return false;
  return origins.every(({ served, changesAtMs = Infinity }) => {
    return served === 'right' && changesAtMs + settlingMs < startsAtMs;
  });
}

/** Until all relays know that a file has changed. */
const settlingMs = 3000;

// --- Relays

function checkRelay(scenario: RelaysScenario, run: RelayRun, check: Check): void {
  const relay = scenario.relays.find(({ name }) => name === run.name) as RelayScenario;
  const { cache, fetches, leftovers, unsound, isDown } = run;
  const { cacheLimitBytes, windowBytes, isDiskBad } = relay;
  check(leftovers.length === 0, `left: ${leftovers.join(', ')}`);
  check(unsound.length === 0, `the cache has ${unsound.join(', ')}`);
  const { mostBytes, mostCountedBytes, rewrittenBlocks, heldAgain } = cache;
  check(mostBytes <= cacheLimitBytes, `${mostBytes} bytes in a cache of ${cacheLimitBytes}`);
  check(mostCountedBytes <= cacheLimitBytes, `${mostCountedBytes} bytes counted`);
  check(cache.removedInUse === 0, `${cache.removedInUse} objects removed while they were read`);
  check(heldAgain === 0, `${heldAgain} blocks arrived though they were held`);
  const isClean = rewrittenBlocks === 0 || isDiskBad;
  check(isClean, `${rewrittenBlocks} blocks written again`);
  const mostPassing = Math.max(2, windowBytes / scenario.blockSizeBytes);
  const { mostPassingBlocks, mostUnwrittenBlocks } = cache;
  check(mostPassingBlocks <= mostPassing, `${mostPassingBlocks} blocks kept of what passes`);
  check(mostUnwrittenBlocks <= 200, `${mostUnwrittenBlocks} blocks wait for the disk`);
  for (const fetch of fetches) {
    checkWatched(scenario, relay, fetch, isDiskBad, check);
    check(isDown || fetch.result !== undefined || relay.outages.length > 0, 'a fetch has no end');
  }
  for (const event of run.events) if ('reason' in event) checkReason(event.reason, check);
}

/** What every fetch must keep to, that of a client and that of a relay. */
function checkWatched(
  scenario: RelaysScenario,
  { from, link }: ClientScenario | RelayScenario,
  fetch: FetchWatch,
  isDiskBad: boolean,
  check: Check,
): void {
  const { blockSizeBytes, origins, relays } = scenario;
  const isLiar = (name: string) =>
    origins.some((each) => each.name === name && each.served.startsWith('wrong')) ||
    relays.some((each) => each.name === name && each.lie !== undefined);
  checkLiars(isLiar, fetch, check);
  if (fetch.isOnDemand || isDiskBad) return;
  // One that returns may send the manifest again.
  const leftCount = fetch.events.filter(({ type }) => type === 'left').length;
  checkRepetitions(
    {
      ...{ blockSizeBytes, mssBytes: relaysMssBytes, sourceCount: from.length + leftCount },
      isOrderly: !link.corruptProbability,
    },
    fetch,
    check,
  );
}

// --- Time

/** A host that does not answer counts as lost after this time. */
const livenessMs = 60_000;
/** A source that offers the content again and again, and sends nothing of it, has this many chances. */
const offersCount = 6;

/** When everything is over at the latest. */
function latestMs({ origins, relays, clients, objects, patienceMs }: RelaysScenario): TimeMs {
  const events = [0];
  let slowest = Infinity;
  for (const { outages } of [...origins, ...relays])
    for (const { atMs, endMs } of outages) events.push(atMs, endMs === Infinity ? atMs : endMs);
  for (const { changesAtMs = 0 } of origins) events.push(changesAtMs);
  for (const { startsAtMs, restarts } of clients)
    events.push(startsAtMs, ...restarts.map(({ endMs }) => endMs));
  for (const { bytesPerSec } of [...relays, ...clients]) slowest = Math.min(slowest, bytesPerSec);
  const allBytes = objects.reduce((sum, each) => sum + each.contentSizeBytes + 10_000, 0);
  const workMs = (4000 * allBytes * clients.length) / slowest;
  const givingUpMs = offersCount * patienceMs;
  return Math.max(...events) + workMs + givingUpMs + 2 * livenessMs;
}
