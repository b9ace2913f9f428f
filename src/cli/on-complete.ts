/** `--on-complete`: runs the user's command for each complete session and prints how the command ended. */
import { resolve } from 'node:path';
import { withoutUndefined } from '../base/without-undefined.js';
import { fingerprint } from '../node/keys/key-files.js';
import { CommandQueue } from '../node/service/command-queue.js';
import type { IncomingResult } from '../session/receiver-events.js';
import type { Output } from './output/output.js';

export interface OnCompleteOptions {
  readonly command: string;
  /** Maximum number of commands that run at once. */
  readonly maxRunning: number;
  readonly timeoutMs: number;
  /** The target folder. */
  readonly dir: string;
}

export type OnComplete = CommandQueue<IncomingResult>;

export function createOnComplete(output: Output, options: OnCompleteOptions): OnComplete {
  const { command, maxRunning, timeoutMs, dir } = options;
  return new CommandQueue<IncomingResult>({
    command,
    maxRunning,
    timeoutMs,
    environmentOf: (result) => ({
      P2MP_DIR: resolve(dir),
      P2MP_LABEL: nameOfLabel(result.label),
      P2MP_SENDER: result.from,
      P2MP_SENDER_KEY: fingerprint(result.senderKey),
      P2MP_MANIFEST_DIGEST: result.manifestDigest,
      P2MP_CONTENT_ROOT: result.contentRoot ?? '',
      P2MP_BYTES: String(result.contentSizeBytes),
    }),
    onEnd: ({ label, from, manifestDigest, contentRoot }, { status, reason }) => {
      const facts = {
        ...{ sender: from, label, manifestDigest, status },
        ...withoutUndefined({ contentRoot, reason }),
      };
      output.json({ event: 'on-complete', ...facts });
      if (reason !== undefined && !output.isJson) {
        output.warn(`${label} from ${from}: --on-complete: ${reason}`);
      }
    },
  });
}

/**
 * Turns a label into a safe file name. The sender chooses the label, and commands often append the label to
 * the path of the target folder. The result must not lead out of that folder or to the folder itself.
 */
export function nameOfLabel(label: string, platform: NodeJS.Platform = process.platform): string {
  const name = label.replace(platform === 'win32' ? /[/\\:]/g : /\//g, '_');
  return /^[. ]*$/.test(name) ? '_' : name;
}
