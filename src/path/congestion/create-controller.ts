/** Chooses the congestion controller of a rate group. */
import { BbrController } from './bbr-controller.js';
import type { CongestionController, CongestionControlOptions } from './congestion-control.js';
import { FixedRateController } from './fixed-rate-controller.js';

export function createCongestionController(
  options: CongestionControlOptions,
): CongestionController {
  const { rateBytesPerSec, datagramSizeBytes } = options;
  const bbr = new BbrController(options);
  if (rateBytesPerSec === undefined) return bbr;
  return new FixedRateController(rateBytesPerSec / (1000 * datagramSizeBytes), bbr);
}
