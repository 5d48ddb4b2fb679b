import { readdirSync, readFileSync } from 'node:fs';
import type { Stage } from './stage.ts';

interface Sample {
  readonly megabytes: number;
  readonly files: number;
}

/** What a process may have beside what it had when it was first weighed: people come and go, and connect anew. */
const filesMore = 150;
/** Several times what a node of this test needs, so that only growth without an end gets there. */
const megabytesMax = 600;

/** Memory and open files of the nodes: what grows without an end is seen here. */
export class Weight {
  readonly #stage: Stage;
  /** By process: a node that was started anew begins anew. */
  readonly #first = new Map<number, Sample>();
  /** Most of all. */
  megabytesMost = 0;
  filesMost = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Weighs all that run; a line for people, and what is too much. */
  take(): { readonly text: string; readonly faults: readonly string[] } {
    const texts: string[] = [];
    const faults: string[] = [];
    for (const index of this.#stage.up) {
      const { pid } = this.#stage.nodes[index]!;
      const now = sampleOf(pid);
      const first = this.#first.get(pid) ?? now;
      this.#first.set(pid, first);
      this.megabytesMost = Math.max(this.megabytesMost, now.megabytes);
      this.filesMost = Math.max(this.filesMost, now.files);
      const text = `n${index + 1} ${first.megabytes} → ${now.megabytes} MB, ${first.files} → ${now.files} files`;
      texts.push(text);
      if (now.files > first.files + filesMore || now.megabytes > megabytesMax)
        faults.push(`it grows without an end: ${text}`);
    }
    return { text: texts.join('; '), faults };
  }
}

function sampleOf(pid: number): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  return { megabytes: Math.round(kilobytes / 1024), files: readdirSync(`/proc/${pid}/fd`).length };
}
