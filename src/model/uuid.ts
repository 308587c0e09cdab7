// Ids that follow from what they stand for: whoever makes the same thing again, after a restart or on another portal, makes the same row.

/** A UUID of the first 32 digits of a hash in hexadecimal. Version 8 is of whatever its maker likes; 4 claims to be random (RFC 9562, 5.4 and 5.8). */
export function uuidFromHash(hex: string, version: 4 | 8 = 8): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
