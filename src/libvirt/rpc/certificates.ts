// Until when the certificates of a TLS connection are valid (X.509's notAfter, RFC 5280 4.1.2.5), read in a handshake of its own:
// a connection that has been open for months knows only what was valid when it began.
import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate } from 'node:tls';
import type { CertificateEnd } from '../../model/host-check.ts';
import { HostUnavailableError } from '../errors.ts';
import type { CallOptions } from '../hypervisor.ts';
import type { LibvirtUri } from '../uri.ts';
import { handshake, loadPki } from './transport.ts';

/** milliseconds; a daemon that takes longer for a handshake is silent */
const mostMs = 10_000;

/** The host's, ours and, of those that signed the host's, the one that ends first. Empty for what is no TLS. Rejects as dial does. */
export async function readCertificateEnds(uri: LibvirtUri, { pkiPath, timeoutMs = mostMs, signal }: CallOptions & { readonly pkiPath?: string | undefined }): Promise<CertificateEnd[]> {
  if (uri.transport !== 'tls') return [];
  const pki = await loadPki(uri.pkiPath ?? pkiPath);
  // nothing is asked of whoever answers, so that it may be read also when its certificate has ended
  const deadline = AbortSignal.timeout(Math.min(timeoutMs, mostMs));
  const socket = await handshake(uri, pki, AbortSignal.any([deadline, ...(signal === undefined ? [] : [signal])]), { rejectUnauthorized: false }).catch((error: unknown) => {
    throw deadline.aborted && signal?.aborted !== true ? new HostUnavailableError('no TLS handshake in time', { cause: error }) : error;
  });
  try {
    const [host, ...authorities] = chainOf(socket.getPeerCertificate(true));
    if (host === undefined) throw new HostUnavailableError('the host shows no certificate');
    const ends: CertificateEnd[] = [{ of: 'host', notAfter: host }, { of: 'portal', notAfter: Date.parse(new X509Certificate(pki.cert).validTo) }];
    return authorities.length === 0 ? ends : [...ends, { of: 'authority', notAfter: Math.min(...authorities) }];
  } finally {
    socket.destroySoon();
  }
}

/** notAfter of the certificate, of the one that signed it, and so on. */
function chainOf(certificate: DetailedPeerCertificate): number[] {
  const ends: number[] = [];
  const seen = new Set<DetailedPeerCertificate>();
  // one that signed itself is its own issuer; what the handshake did not show has no fields
  for (let link: DetailedPeerCertificate | undefined = certificate; link?.valid_to !== undefined && !seen.has(link); link = link.issuerCertificate) {
    seen.add(link);
    ends.push(Date.parse(link.valid_to));
  }
  return ends;
}
