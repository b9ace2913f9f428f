import type { FileReceiverEvent, ReceiveFileOptions } from '../../src/index.js';
import { FileReceiver } from '../../src/index.js';
import type { Cleaner } from './processes.js';

/** A receiver on loopback and its events. */
export class Receiving {
  readonly events: FileReceiverEvent[] = [];
  private opened: FileReceiver | undefined;
  private wake = () => {};

  static async open(
    t: Cleaner,
    path: string,
    options: Partial<ReceiveFileOptions> = {},
  ): Promise<Receiving> {
    const receiving = new Receiving();
    const { onEvent } = options;
    receiving.opened = await FileReceiver.open({
      bind: ['127.0.0.1'],
      port: 0,
      path,
      ...options,
      onEvent: (event) => {
        receiving.events.push(event);
        onEvent?.(event);
        receiving.wake();
      },
    });
    t.teardown(() => receiving.receiver.close());
    return receiving;
  }

  get receiver(): FileReceiver {
    if (this.opened === undefined) throw new Error('not open');
    return this.opened;
  }

  /** The server argument of a sender. */
  server(name?: string) {
    const [address] = this.receiver.addresses;
    if (address === undefined) throw new Error('no address');
    return { ...address, ...(name === undefined ? {} : { name }) };
  }

  /** Resolves with all results when there are `count`. */
  async results(count: number) {
    for (;;) {
      const results = this.events.flatMap((event) => (event.type === 'done' ? [event.result] : []));
      if (results.length >= count) return results;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
