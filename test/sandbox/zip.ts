// Zip archives as nobody should make them: names, modes, sizes and flags are written as they are given.

import { crc32, deflateRawSync } from 'node:zlib';

/** One entry. */
export interface Entry {
  readonly name: string;
  readonly data?: string;
  readonly deflate?: true;
  /** Deflated already; `size` says what it claims to be. */
  readonly raw?: Buffer;
  /** What is claimed; default: the truth. */
  readonly size?: number;
  /** Of Unix. */
  readonly mode?: number;
  readonly encrypted?: true;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const UNIX = 3 << 8;
const UTF8 = 0x800;

/** An archive of these entries. */
export function zipOf(entries: readonly Entry[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const { name, data = '', deflate, raw, mode, encrypted } = entry;
    const nameBytes = Buffer.from(name);
    const plain = Buffer.from(data);
    const stored = raw ?? (deflate === true ? deflateRawSync(plain) : plain);
    const method = raw !== undefined || deflate === true ? 8 : 0;
    const size = entry.size ?? plain.length;
    const flags = UTF8 | (encrypted === true ? 1 : 0);

    const local = Buffer.alloc(30);
    local.writeUInt32LE(LOCAL, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(crc32(plain), 14);
    local.writeUInt32LE(stored.length, 18);
    local.writeUInt32LE(size, 22);
    local.writeUInt16LE(nameBytes.length, 26);

    const central = Buffer.alloc(46);
    central.writeUInt32LE(CENTRAL, 0);
    central.writeUInt16LE(UNIX | 20, 4);
    central.writeUInt16LE(20, 6);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc32(plain), 16);
    central.writeUInt32LE(stored.length, 20);
    central.writeUInt32LE(size, 24);
    central.writeUInt16LE(nameBytes.length, 28);
    central.writeUInt32LE(((mode ?? 0) << 16) >>> 0, 38);
    central.writeUInt32LE(offset, 42);

    bodies.push(local, nameBytes, stored);
    directory.push(central, nameBytes);
    offset += local.length + nameBytes.length + stored.length;
  }
  const whole = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(whole.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, whole, end]);
}
