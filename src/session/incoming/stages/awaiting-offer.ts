/** The stages before an object is received: waiting for the sender's offer, and checking it. */
import { formatAddress } from '../../../base/address.js';
import type { TimeMs } from '../../../base/machine.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import { createSessionGeometry } from '../../../object/geometry.js';
import { toHex } from '../../../wire/byte-codec.js';
import type { Offer } from '../../../wire/offer.js';
import { challengeSizeBytes } from '../../../wire/sizes.js';
import { findContentExcess } from '../../object-limits.js';
import type { IncomingInfo } from '../../receiver-events.js';
import { BlockReception } from '../block-reception.js';
import type { ReceptionOptions } from '../incoming-object.js';
import { isManifestSound } from '../manifest-reception.js';
import type { SessionOutput } from '../session-output.js';
import { beginWithManifest } from './manifest.js';
import type { Next } from './stage.js';
import { Outcome, Stage } from './stage.js';
import { Supplying } from './supplying.js';

/** What is known of a session before its offer. */
export interface SessionOpening {
  readonly options: ReceptionOptions;
  readonly output: SessionOutput;
  readonly senderKey: Uint8Array;
  readonly startedAtMs: TimeMs;
}

export class AwaitingOffer extends Stage {
  override readonly activity = 'offered';
  override readonly info = undefined;

  constructor(private readonly opening: SessionOpening) {
    super();
  }

  /** Takes the first offer. The stage that follows checks it. */
  takeOffer(offer: Offer): Offered {
    const { session, manifestDigest, label, contentSizeBytes, deletion, relayed } = offer;
    const { output, senderKey } = this.opening;
    const info = {
      session,
      manifestDigest: toHex(manifestDigest),
      label,
      from: formatAddress(output.from),
      senderKey,
      contentSizeBytes,
      isListing: deletion === 'list',
      ...withoutUndefined({ relayed }),
    };
    output.emit({ type: 'offer', info });
    return new Offered(this.opening, info);
  }
}

export class Offered extends Stage {
  override readonly activity = 'offered';

  constructor(
    private readonly opening: SessionOpening,
    override readonly info: IncomingInfo,
  ) {
    super();
  }

  override handleOffer(nowMs: TimeMs, offer: Offer): Next {
    const next = this.begin(nowMs, offer);
    return next instanceof Stage ? next.handleOffer(nowMs, offer) : next;
  }

  private begin(nowMs: TimeMs, offer: Offer): Next {
    const { info } = this;
    const { options, output, startedAtMs } = this.opening;
    const { contentSizeBytes, manifestSizeBytes, mssBytes, group, relayed } = offer;
    const refusal = options.refuseOffer(offer);
    if (refusal !== undefined) {
      output.countFault('untrusted');
      return new Outcome('refused', refusal);
    }
    if (offer.deletion !== 'none' && !options.allowsDeletion) {
      return new Outcome('refused', refusesDeletion);
    }
    const { blockSizeBytes, limits } = options;
    const geometry = createSessionGeometry(
      ...[manifestSizeBytes, contentSizeBytes, mssBytes, blockSizeBytes],
    );
    if (geometry === undefined || !isManifestSound(offer)) {
      return this.refuseObject('the offered sizes are invalid');
    }
    const excess = findContentExcess(contentSizeBytes, limits);
    if (excess !== undefined) return this.refuseObject(excess);
    const blocks = new BlockReception(options, geometry, offer, nowMs, startedAtMs);
    if (group !== undefined) output.emit({ type: 'join', session: info.session, group });
    const { crypto } = options;
    const challenge = relayed === undefined ? undefined : crypto.random(challengeSizeBytes);
    const object = { options, output, info, offer, blocks, challenge };
    return options.isSource ? new Supplying(object) : beginWithManifest(nowMs, object);
  }

  private refuseObject(reason: string): Outcome {
    this.opening.output.countFault('bad-object');
    return new Outcome('refused', reason);
  }
}

const refusesDeletion =
  'allows this sender no deletion: send without --delete, or there, give its key the right "delete" in authorized_keys (with --open: start p2mp receive with --allow-delete)';
