/** Connects a session receiver to where objects are stored: one store for each session. */
import { P2mpError } from '../../base/errors.js';
import type { TimeMs } from '../../base/machine.js';
import { RangeSet } from '../../base/range-set.js';
import type { ContentStore, ContentStores, StoredObject } from '../../object/content-store.js';
import type { SessionReceiver } from '../receiver.js';
import type { IncomingInfo, SessionReceiverEvent } from '../receiver-events.js';
import type { DriverHost } from './driver-host.js';
import { MachineCalls } from './driver-host.js';

type EventOf<Type extends SessionReceiverEvent['type']> = Extract<
  SessionReceiverEvent,
  { type: Type }
>;

/** The store of one session. */
interface OpenStore {
  readonly store: ContentStore;
  /** Whether what the store holds is known, and the object can no longer be refused. */
  isOpen: boolean;
}

export class StoreDriver {
  private readonly open = new Map<number, OpenStore>();
  private readonly calls: MachineCalls;

  constructor(
    private readonly machine: SessionReceiver,
    private readonly stores: ContentStores,
    host: DriverHost,
  ) {
    this.calls = new MachineCalls(host);
  }

  /** Handles the events that concern stores. Call it for every event of the machine. */
  handleEvent(event: SessionReceiverEvent): void {
    switch (event.type) {
      case 'prepare':
        this.calls.during(() => this.prepare(event));
        break;
      case 'write':
        this.calls.during(() => this.write(event));
        break;
      case 'forget':
        this.open.get(event.session)?.store.forget(event.block);
        break;
      case 'withdrawn':
        this.open.get(event.session)?.store.withdraw(event.entries, new RangeSet(event.blocks));
        break;
      case 'finish':
        this.calls.during(() => this.finish(event));
        break;
      case 'end':
        this.end(event);
        break;
      case 'drop':
        this.stores.drop(objectOf(event.info));
        break;
    }
  }

  /** The store of this session, from which its content can be read while it arrives; undefined if there is none. */
  storeOf(session: number): ContentStore | undefined {
    return this.open.get(session)?.store;
  }

  /** The machine is gone. Whatever its stores report later is ignored. */
  stop(): void {
    this.calls.stop();
  }

  private prepare(event: EventOf<'prepare'>): void {
    const { info, manifest, blockSizeBytes, existing, deletion, listedAtMs } = event;
    const { session } = info;
    const request = {
      ...objectOf(info),
      ...{ session, manifest, blockSizeBytes, existing, deletion, listedAtMs },
    };
    const store = this.stores.create(request, (error) => this.fail(session, own, error));
    const own: OpenStore = { store, isOpen: false };
    this.open.set(session, own);
    store.open(({ held, kept, unchangedFiles, extras }) => {
      own.isOpen = true;
      this.callIfOpen(session, own, (nowMs) =>
        this.machine.find(session)?.prepared(nowMs, held, kept, { unchangedFiles, extras }),
      );
    });
  }

  private write({ session, offsetBytes, bytes }: EventOf<'write'>): void {
    const { length: sizeBytes } = bytes;
    const handleWritten = () =>
      this.calls.call((nowMs) => this.machine.handleWritten(nowMs, session, sizeBytes));
    const own = this.open.get(session);
    if (own === undefined) handleWritten();
    else own.store.write(offsetBytes, bytes, handleWritten);
  }

  private finish({ session, leafOf, doomed }: EventOf<'finish'>): void {
    const own = this.open.get(session);
    own?.store.verify(leafOf, (damaged) => {
      if (damaged.length > 0) {
        this.callIfOpen(session, own, (nowMs) =>
          this.machine.find(session)?.handleDamaged(nowMs, damaged),
        );
        return;
      }
      own.store.complete(doomed, ({ note, deletion }) =>
        this.callIfOpen(session, own, (nowMs) =>
          this.machine.find(session)?.handleStored(nowMs, note, deletion),
        ),
      );
    });
  }

  private end({ result }: EventOf<'end'>): void {
    const { session, status } = result;
    this.open.get(session)?.store.end(status === 'complete');
    this.open.delete(session);
  }

  private fail(session: number, own: OpenStore, error: unknown): void {
    if (!(error instanceof P2mpError)) {
      const id = this.open.get(session) === own ? session : undefined;
      this.calls.call((nowMs) => this.machine.handleInternalError(nowMs, id, error));
      return;
    }
    this.callIfOpen(session, own, (nowMs) => {
      if (own.isOpen) this.machine.find(session)?.fail(nowMs, error.message);
      else this.machine.find(session)?.refuse(nowMs, error.message);
    });
  }

  /** Calls the machine unless the session has ended. A later session can have the same number. */
  private callIfOpen(session: number, own: OpenStore, take: (nowMs: TimeMs) => void): void {
    if (this.open.get(session) === own) this.calls.call(take);
  }
}

function objectOf({ manifestDigest, label, senderKey }: IncomingInfo): StoredObject {
  return { manifestDigest, label, senderKey };
}
