/** Prints the receivers and servers that discovery has found. */
import { formatAddress } from '../../base/address.js';
import { escapeControls } from '../../base/control-characters.js';
import { formatPlural } from '../../base/format.js';
import type { AnnouncedReceiver } from '../../discovery/receiver-search.js';
import type { FoundReceivers } from '../../node/find-receivers.js';
import { fingerprint, formatPublicKey } from '../../node/keys/key-files.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import { type AnnouncedRole, discoveryPlace } from '../../wire/discovery.js';
import { type AnnouncedTrust, addressOf, trustOf } from '../receivers/announced-trust.js';
import type { Output } from './output.js';
import { cut } from './table.js';

const roles = ['receiver', 'server'] as const;

const trustTexts: Readonly<Record<AnnouncedTrust, string>> = {
  trusted: 'trusted',
  unknown: 'not trusted',
  changed: 'other key',
};

/** @returns the fields of `peer` and of `peers` in the result */
export function peerJson(receiver: AnnouncedReceiver, known: KnownReceivers) {
  const { name, receiverKey, role, addresses } = receiver;
  return {
    address: formatAddress(addressOf(receiver, known)),
    addresses: addresses.map(formatAddress),
    trust: trustOf(receiver, known),
    knownAs: known.namesOf(receiverKey),
    fingerprint: fingerprint(receiverKey),
    publicKey: formatPublicKey(receiverKey, ''),
    role,
    name,
  };
}

export function printPeers(
  output: Output,
  { receivers, leftOutCount, interfaces }: FoundReceivers,
  known: KnownReceivers,
  waitMs: number,
): void {
  if (receivers.length === 0) {
    output.line(
      `No receiver or server answered within ${waitMs / 1000} s on ${interfaces.join(', ')}. ${whoAnswers}`,
    );
    return;
  }
  const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
  for (const line of formatPeers(receivers, known, columns)) output.line(line);
  const trusts = receivers.map((receiver) => trustOf(receiver, known));
  const trusted = trusts.filter((trust) => trust === 'trusted').length;
  output.line(`${countRoles(receivers)}, ${trusted} of them trusted`);
  if (leftOutCount > 0) {
    output.line(`${formatPlural(leftOutCount, 'more answer')} came than are kept`);
  }
  if (trusts.includes('changed')) {
    output.line(`other key: the list ${known.path} has another key for this address`);
  }
  for (const role of roles) {
    const isAny = receivers.some((each, i) => each.role === role && trusts[i] !== 'trusted');
    if (isAny) output.line(howToTrust(role));
  }
}

function countRoles(receivers: readonly AnnouncedReceiver[]): string {
  const parts = roles.flatMap((role) => {
    const { length } = receivers.filter((each) => each.role === role);
    return length === 0 ? [] : [formatPlural(length, role)];
  });
  return parts.join(', ');
}

const whoAnswers = [
  'Hosts on the same network answer if p2mp receive or p2mp serve runs there without --no-announce, and if no firewall',
  `drops UDP port ${discoveryPlace.port} there, or answers from that port here. p2mp send PATH --to HOST needs no discovery.`,
].join(' ');

export function howToTrust(role: AnnouncedRole): string {
  const [command, use] =
    role === 'receiver' ? ['p2mp receive', 'send to'] : ['p2mp serve', 'fetch from'];
  return [
    `To trust a ${role}, run ${command} --invite there, and run here what it prints; or ${use} its address, and`,
    'compare the fingerprint with the output of p2mp keygen --show there',
  ].join(' ');
}

/** With fewer columns for it, a name is left out. */
const minNameColumns = 8;

/**
 * Formats a table. The name comes last because the receiver chooses it: it can neither imitate nor narrow the other
 * columns.
 * @param maxColumns the width of the terminal; with too few, each fingerprint has a line of its own
 */
export function formatPeers(
  receivers: readonly AnnouncedReceiver[],
  known: KnownReceivers,
  maxColumns = Number.POSITIVE_INFINITY,
): string[] {
  const head = ['trust', 'address', 'role', 'fingerprint of its key'];
  const rows = receivers.map((receiver) => [
    trustTexts[trustOf(receiver, known)],
    formatAddress(addressOf(receiver, known)),
    receiver.role,
    fingerprint(receiver.receiverKey),
  ]);
  const names = ['name', ...receivers.map(({ name }) => escapeControls(name))];
  const wide = alignColumns([head, ...rows]);
  const isWide = (wide[0]?.length ?? 0) + minNameColumns <= maxColumns;
  const lines = isWide ? wide : alignColumns([head, ...rows].map((row) => row.slice(0, 3)));
  return lines.flatMap((line, i) => {
    const isCut = line.length + minNameColumns > maxColumns;
    const full = isCut ? line.trimEnd() : cut(line + names[i], maxColumns).trimEnd();
    return isWide || i === 0 ? [full] : [full, `  ${rows[i - 1]?.[3]}`];
  });
}

/** Pads every cell, also the last one, and adds a gap after it. */
function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => row.map((cell, i) => `${cell.padEnd(widths[i] ?? 0)}  `).join(''));
}
