/** The help of every command, from which the build makes man pages and completions. */
import type { CommandHelp } from '../help/command-help.js';
import { createMainParser } from '../verbs.js';
import { createClientParser } from './client-arguments.js';
import { createCompletionParser } from './completion.js';
import { createDigestParser } from './digest.js';
import { createExchangeParser } from './exchange/exchange-arguments.js';
import { createExperimentParser } from './experiment.js';
import { createFetchParser } from './fetch-arguments.js';
import { createKeygenParser } from './keygen.js';
import { createListParser } from './list.js';
import { createPeersParser } from './peers.js';
import { createReceiveParser } from './receive-arguments.js';
import { createRelayParser } from './relay-arguments.js';
import { createSendParser } from './send-arguments.js';
import { createServeParser } from './serve-arguments.js';
import { createServerParser } from './server-arguments.js';

export function everyCommand(): CommandHelp[] {
  const parsers = [
    createMainParser(),
    createSendParser(),
    createReceiveParser(),
    createServeParser(),
    createFetchParser(),
    createRelayParser(),
    createExchangeParser(),
    createListParser(),
    createPeersParser(),
    createDigestParser(),
    createKeygenParser(),
    createExperimentParser(),
    createCompletionParser(),
    createClientParser(),
    createServerParser(),
  ];
  return parsers.map(({ help }) => help);
}
