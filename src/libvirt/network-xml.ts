// A virtual network as libvirt describes it (https://libvirt.org/formatnetwork.html).
import { find, readXml } from './xml-reader.ts';

export interface NetworkDescription {
  /** 'nat', 'route', 'open', 'bridge', 'private', …; 'isolated' for one without a way out */
  readonly mode: string;
  /** the bridge that guests are plugged into; null: the network has none (macvtap, SR-IOV) or libvirt has not made it yet */
  readonly bridge: string | null;
  /** the bridge is the host's own: libvirt neither makes nor checks it */
  readonly bridgeOfHost: boolean;
}

export function readNetworkXml(xml: string): NetworkDescription {
  const root = readXml(xml);
  const mode = find(root, 'forward')?.attributes['mode'] ?? (find(root, 'forward') === undefined ? 'isolated' : 'nat');
  const bridge = find(root, 'bridge')?.attributes['name'] ?? null;
  return { mode, bridge, bridgeOfHost: mode === 'bridge' && bridge !== null };
}
