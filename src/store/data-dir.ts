import { mkdir } from 'node:fs/promises';
export async function openDataDir(dir: string): Promise<{ close(): Promise<void> }> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return { close: async () => {} };
}
