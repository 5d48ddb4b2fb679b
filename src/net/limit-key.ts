import { isIPv4, isIPv6 } from 'node:net';

/**
 * What an address is counted under: an IPv4 address by itself, an IPv6 address by its /64, for that is what one
 * household or one rented server gets, and whoever has it can use all its addresses.
 */
export function limitKeyOfAddress(address: ArrayBuffer): string {
  const bytes = new Uint8Array(address);
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return 'unknown';
  return keyOfGroups(
    Array.from({ length: 8 }, (_, index) => bytes[index * 2]! * 256 + bytes[index * 2 + 1]!),
  );
}

/**
 * The same from text, as in X-Forwarded-For: with or without a port, brackets or a zone. Undefined for what is no
 * address (`unknown`, an obfuscated name): the caller then counts the peer that it sees.
 */
export function limitKeyOfText(text: string): string | undefined {
  const address = bareAddress(text.trim());
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return undefined;
  return keyOfGroups(groupsOf(address));
}

function bareAddress(text: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text);
  if (bracketed) return bracketed[1]!.replace(/%.*$/, '');
  const withPort = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text);
  return withPort ? withPort[1]! : text.replace(/%.*$/, '');
}

/** The eight 16-bit groups of an address that `isIPv6` has accepted. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::', 2);
  const front = partGroups(head);
  const back = tail === undefined ? [] : partGroups(tail);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0);
  return [...front, ...zeros, ...back];
}

function partGroups(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function keyOfGroups(groups: readonly number[]): string {
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) {
    const [high, low] = [groups[6]!, groups[7]!];
    return `${high >>> 8}.${high & 0xff}.${low >>> 8}.${low & 0xff}`;
  }
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(':')}::/64`;
}
