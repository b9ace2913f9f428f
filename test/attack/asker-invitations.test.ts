/** Attacks on the invitations of a host that is asked for objects (SESSIONS 3.15 and 9). */
import t from 'tap';
import { AskListener } from '../../src/session/asks/ask-listener.js';
import type { AskListenerEvent } from '../../src/session/asks/listener-events.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { toHex } from '../../src/wire/byte-codec.js';
import { askerNumber } from '../../src/wire/header.js';
import { AskCaller, ask } from '../support/ask-caller.js';

const hourMs = 3_600_000;
const once = { uses: 1, lifetimeMs: hourMs };
const cryptoOf = (name: string) => createSimulatedCrypto('asker invitations', name);

class InvitingServer {
  readonly listener: AskListener;
  private readonly trusted = new Set<string>();
  private channelCount = 0;

  /** @param remembers whether the server trusts the keys of those that it has invited */
  constructor(
    private readonly remembers = true,
    maxChannels = 10,
  ) {
    this.listener = new AskListener({
      ...{ crypto: cryptoOf('server'), maxChannels },
      refuseAsker: (key) => (this.trusted.has(toHex(key)) ? undefined : 'not trusted'),
    });
  }

  /** Connects to the server. */
  call(name: string, secret?: Uint8Array, atMs = 0): AskCaller {
    const address = { host: '192.0.2.1', port: 5000 + this.channelCount };
    const crypto = cryptoOf(name);
    const channel = ++this.channelCount;
    return new AskCaller(this.listener, crypto, atMs, channel, address, askerNumber, secret);
  }

  /** Takes what the server has reported. */
  takeEvents(): Exclude<AskListenerEvent, { type: 'fault' }>[] {
    const all: Exclude<AskListenerEvent, { type: 'fault' }>[] = [];
    for (let next = this.listener.pollEvent(); next !== undefined; ) {
      if (next.type !== 'fault') all.push(next);
      if (next.type === 'asker-invited' && this.remembers) this.trusted.add(toHex(next.askerKey));
      next = this.listener.pollEvent();
    }
    return all;
  }
}

/** Why a caller was refused when it connected; undefined if it was not. */
function refusalOf({ greeting: [answer] }: AskCaller): string | undefined {
  return answer?.kind === 'refuse' ? answer.reason : undefined;
}

t.test('an invited receiver may ask, now and without the invitation later', (t) => {
  const server = new InvitingServer();
  const secret = server.listener.invite(0, once);
  const ann = server.call('ann', secret);
  t.same(ann.greeting, []);
  t.match(server.takeEvents(), [{ type: 'asker-invited', usesLeft: 0 }]);
  ann.say(ask('photos'));
  t.match(server.takeEvents(), [{ type: 'ask', what: { name: 'photos' } }]);
  t.equal(refusalOf(server.call('ann')), undefined);
  t.equal(refusalOf(server.call('ann', secret)), undefined, 'which is not used again');
  t.match(refusalOf(server.call('ben', secret)), /^the invitation was good once and was used;/);
  t.match(server.takeEvents(), [{ type: 'asker-turned-away', cause: 'invitation' }]);
  t.end();
});

t.test('an ask that arrives with the proof is not refused', (t) => {
  const server = new InvitingServer();
  const ann = server.call('ann', server.listener.invite(0, once));
  ann.say(ask('photos'));
  t.match(server.takeEvents(), [{ type: 'asker-invited' }, { type: 'ask' }]);
  t.end();
});

t.test('the server decides whether an invited key stays trusted', (t) => {
  const server = new InvitingServer(false);
  const ann = server.call('ann', server.listener.invite(0, once));
  server.takeEvents();
  t.match(ann.say(ask('photos')), [{ kind: 'refuse', reason: 'not trusted' }]);
  t.same(server.takeEvents(), []);
  t.end();
});

t.test('a wrong, late or foreign proof admits nobody and uses nothing up', (t) => {
  const server = new InvitingServer();
  const secret = server.listener.invite(0, once);
  const [ownSecret] = secret;
  const guess = Uint8Array.from(secret, (byte, i) => (i === 0 ? (ownSecret ?? 0) ^ 1 : byte));
  t.match(refusalOf(server.call('eve', guess)), /does not know this invitation/);
  t.equal(refusalOf(server.call('eve')), 'not trusted');
  const other = new InvitingServer().listener.invite(0, once);
  other[0] = (other[0] ?? 0) ^ 1;
  t.match(refusalOf(server.call('eve', other)), /does not know this invitation/);
  t.match(refusalOf(server.call('eve', secret, hourMs)), /has expired/);
  t.equal(server.listener.channelCount, 0);
  t.equal(refusalOf(server.call('ann', secret, hourMs - 1)), undefined);
  t.end();
});

t.test('of two receivers that race for one use, exactly one wins', (t) => {
  const server = new InvitingServer();
  const secret = server.listener.invite(0, once);
  const [ann, ben] = [server.call('ann', secret), server.call('ben', secret)];
  t.equal(refusalOf(ann), undefined);
  t.match(refusalOf(ben), /was used/);
  t.end();
});

t.test('a server without room does not use up the invitation', (t) => {
  const server = new InvitingServer(true, 1);
  const secret = server.listener.invite(0, { ...once, uses: 2 });
  const ann = server.call('ann', secret);
  server.takeEvents();
  ann.say(ask('photos'));
  const [asked] = server.takeEvents();
  t.match(refusalOf(server.call('ben', secret)), /^busy/);
  server.listener.drain();
  t.match(refusalOf(server.call('ben', secret)), /shutting down/);
  t.equal(asked?.type, 'ask');
  t.notOk(server.takeEvents().some(({ type }) => type === 'asker-invited'));
  t.end();
});
