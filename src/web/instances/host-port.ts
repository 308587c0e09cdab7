/** "192.0.2.1:5900", "[2001:db8::1]:5900": what people type into a VNC viewer. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
