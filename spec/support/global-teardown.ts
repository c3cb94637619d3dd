export default async function globalTeardown(): Promise<void> {
  for (const server of globalThis.startedServers) await server.stop();
}
