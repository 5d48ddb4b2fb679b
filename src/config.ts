import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
export interface Config {
  [section: string]: any;
}
export function loadConfig(argv: readonly string[], env: Record<string, string | undefined>): any {
  const flags: Record<string, string> = {};
  for (let i = 0; i < argv.length; i++) {
    const k = argv[i]!.slice(2);
    if (k === 'demo') flags[k] = '1';
    else flags[k] = argv[++i]!;
  }
  const get = (k: string, d: string) => flags[k] ?? env['KEFU_' + k.toUpperCase().replace(/[-.]/g, '_')] ?? d;
  const n = (k: string, d: number) => Number(get(k, String(d)).replace('s', '000'));
  const dataDir = resolve(get('data-dir', './data'));
  return {
    host: get('host', '127.0.0.1'),
    port: n('port', 8080),
    dataDir,
    workers: n('workers', cpus().length),
    postgres: { url: get('postgres', ''), sharedBuffersBytes: 128 * 2 ** 20 },
    objectsDir: join(dataDir, 'objects'),
    nodeId: get('node-id', 'node'),
    demo: flags['demo'] === '1',
    limits: {
      connections: n('limits.connections', 18000),
      connectionsPerIp: n('limits.connections_per_ip', 200),
      connectsPerSecondPerIp: n('limits.connects_per_second_per_ip', 50),
      requestsPerSecondPerIp: n('limits.requests_per_second_per_ip', 100),
      messagesPerSecond: n('limits.messages_per_second', 20),
      frameBytes: n('limits.frame_bytes', 65536),
      bodyBytes: 65536,
      uploadBytes: 10 * 2 ** 20,
      connectionsPerIdentity: 10,
      helloMs: 10000,
      heartbeatMs: 25000,
      outputBytes: 262144,
      inFlight: 256,
      mailbox: 10000,
      historyPage: 200,
      queueLength: 100000,
      logIds: 1000000,
      loginsPerMinutePerIp: 30,
    },
    agents: { capacity: 8, graceMs: n('agents.grace', 30000), onAway: 'queue', reserveMs: 5000 },
    journal: { batchEvents: 2000, queueEvents: 50000, commitWaitMs: 5000 },
    actors: { idleMs: 120000, restarts: 5, restartWindowMs: 30000 },
    store: { hotBytes: 64 * 2 ** 20, connections: 4, readWaitMs: 5000 },
    auth: { tokenKey: '', customerTokenMs: 365 * 86400000, agentTokenMs: 12 * 3600000 },
    http: { origins: ['*'], trustProxy: false },
    tls: { cert: '', key: '' },
    log: { level: 'info', format: 'auto' },
    metrics: { open: false },
  };
}
