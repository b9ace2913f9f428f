/** Datagrams of real exchanges in virtual time, from which hostile ones are derived. */
import type { Machine } from '../../src/base/machine.js';
import { encodeAck, encodeData } from '../../src/packet.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import { delegate } from '../support/scenario-run.js';

export interface Exchange {
  readonly toReceiver: readonly Uint8Array[];
  readonly toSender: readonly Uint8Array[];
}

let session: Exchange | undefined;

/** Every kind of datagram, from hello to bye, by unicast and multicast, with losses and repairs. */
export function capturedSession(): Exchange {
  if (session !== undefined) return session;
  const toReceiver: Uint8Array[] = [];
  const toSender: Uint8Array[] = [];
  for (const hasGroup of [false, true]) {
    simulateSession({
      seed: 'captured',
      receiverCount: 2,
      contentSizeBytes: 3000,
      mssBytes: 200,
      blockSizeBytes: 4 * 200 - 16,
      hasGroup,
      forwardLink: { delayMs: 3, loss: { model: 'bernoulli', probability: 0.1 } },
      backwardLink: { delayMs: 3 },
      wrapReceiver: (machine) => tapped(machine, toReceiver),
      wrapSender: (machine) => tapped(machine, toSender),
    });
  }
  session = { toReceiver, toSender };
  return session;
}

/** P2MP-FTP has few kinds; datagrams differ in numbers, sizes and markers. */
export function capturedTransfer(): Exchange {
  const toReceiver = [0, 1, 2, 3].map((n) => encodeData(n, new Uint8Array(100).fill(n + 1)));
  toReceiver.push(encodeData(4, new Uint8Array(10).fill(5)), encodeData(5, new Uint8Array(0)));
  const toSender = [0, 1, 2, 3, 4, 5].map((n) => encodeAck(n));
  return { toReceiver, toSender };
}

function tapped<Event>(machine: Machine<Event>, came: Uint8Array[]): Machine<Event> {
  return delegate(machine, {
    handleDatagram: (nowMs, from, bytes) => {
      came.push(bytes.slice());
      machine.handleDatagram(nowMs, from, bytes);
    },
  });
}
