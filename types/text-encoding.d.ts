// The part of the Encoding Standard that the core uses: Node and web pages have it alike.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, into: Uint8Array): { readonly written: number };
}

declare class TextDecoder {
  constructor(label: 'utf-8', options: { fatal: boolean; ignoreBOM: boolean });
  /** Throws where `bytes` are not of that encoding and `fatal` is set. */
  decode(bytes: Uint8Array): string;
}
