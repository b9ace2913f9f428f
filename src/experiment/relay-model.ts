/** Predicts the time of a fetch through relays if only the rates of the links limit it. */
import { meanLoss } from '../loss.js';
import { contentRate } from './fetch-model.js';
import type { Point } from './parameters.js';
import { createLossSpec } from './parameters.js';

/**
 * What is lost on a link crosses it again, so that loss takes its share of the rate. Cut-through takes as long as the
 * slowest link, store-and-forward as long as all of them together. The model leaves out round trips and questions.
 * @returns undefined if the links have no limit
 */
export function relayMs(point: Point): number | undefined {
  const { hops = 0, passing, lossyLink, rateBytesPerSec, fileSizeBytes } = point;
  if (rateBytesPerSec === undefined) return undefined;
  const plainMs = (1000 * fileSizeBytes) / contentRate(rateBytesPerSec, point);
  const loss = lossyLink === 'none' ? 0 : meanLoss(createLossSpec(point));
  const lossyMs = plainMs / (1 - loss);
  return passing === 'store-and-forward' ? hops * plainMs + lossyMs : lossyMs;
}
