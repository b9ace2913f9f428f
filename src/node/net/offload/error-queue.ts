/** The error queue of a Linux socket (`IP_RECVERR`): ICMP errors with all that they say. */

import type { Koffi } from '../../koffi.js';

/** An error that a host reported by ICMP. */
export interface IcmpError {
  /** 4 or 6: the version of ICMP, which decides what type and code mean. */
  readonly version: 4 | 6;
  readonly type: number;
  readonly code: number;
  /** The address of the host that reported it. */
  readonly from: string;
}

/** Origins of `struct sock_extended_err`. Local errors have another one. */
const versions: Readonly<Record<number, 4 | 6>> = { 2: 4, 3: 6 };

/** Size of `struct sock_extended_err`. The address of the reporting host follows it. */
const errorSizeBytes = 16;
/** Level and name of the option, which are also those of the control message. */
const errorOptions = new Set(['0 11', '41 25']);

/** An error that no host reported by ICMP. */
export type OtherError = 'other';

/** Room for the control messages of one error: a header, the error, and an IPv6 address. */
const controlSizeBytes = 128;
/** MSG_ERRQUEUE | MSG_DONTWAIT */
const errorQueueFlags = 0x2000 | 0x40;

/** @returns a function that takes the next error of a socket from its queue */
export function createErrorReader(
  koffi: Koffi,
): (fd: number) => IcmpError | OtherError | undefined {
  const messageHeader = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    parts: 'void *',
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const header = koffi.inout(koffi.pointer(messageHeader));
  const recvmsg = koffi.load(null).func('recvmsg', 'long', ['int', header, 'int']);
  const control = Buffer.alloc(controlSizeBytes);
  return (fd) => {
    const message = {
      ...{ name: null, nameLength: 0, parts: null, partCount: 0, flags: 0 },
      ...{ control, controlLength: control.length },
    };
    if (recvmsg(fd, message, errorQueueFlags) < 0) return undefined;
    const found = control.subarray(0, Number(message.controlLength));
    return parseIcmpError(found, koffi.sizeof('size_t')) ?? 'other';
  };
}

/**
 * Reads what `recvmsg` wrote to the control buffer. All architectures that koffi supports are little-endian.
 * @param wordSizeBytes size of `size_t`
 * @returns undefined if it is no ICMP error
 */
function parseIcmpError(control: Buffer, wordSizeBytes: number): IcmpError | undefined {
  const headerSizeBytes = wordSizeBytes + 8;
  if (control.length < headerSizeBytes + errorSizeBytes) return undefined;
  const level = control.readInt32LE(wordSizeBytes);
  const name = control.readInt32LE(wordSizeBytes + 4);
  if (!errorOptions.has(`${level} ${name}`)) return undefined;
  const error = control.subarray(headerSizeBytes);
  const version = versions[error.readUInt8(4)];
  if (version === undefined) return undefined;
  const [type, code] = [error.readUInt8(5), error.readUInt8(6)];
  const from = formatHost(error.subarray(errorSizeBytes));
  return from === undefined ? undefined : { version, type, code, from };
}

/** @param name a sockaddr_in or sockaddr_in6 */
function formatHost(name: Buffer): string | undefined {
  if (name.length >= 16 && name.readUInt16LE(0) === 2) return name.subarray(4, 8).join('.');
  if (name.length < 28 || name.readUInt16LE(0) !== 10) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => name.readUInt16BE(8 + 2 * i).toString(16));
  // The shortest form, as everywhere else.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
